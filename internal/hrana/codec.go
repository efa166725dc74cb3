package hrana

import (
	"bufio"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// The functions of this file choose between the two encodings; each encoding
// has its own files. Encoders append to dst and return it; decoders copy what
// they keep, so their input may be reused at once. No input makes a decoder
// panic, or allocate more than a small multiple of the input's length.

// AppendPipelineReq encodes the body of a pipeline request.
func AppendPipelineReq(dst []byte, enc Encoding, req *PipelineReq) ([]byte, error) {
	if enc == Protobuf {
		return appendProtoPipelineReq(dst, req)
	}
	return appendJSONPipelineReq(dst, req)
}

// DecodePipelineReq decodes the body of a pipeline request, for a server.
func DecodePipelineReq(enc Encoding, data []byte, req *PipelineReq) error {
	if enc == Protobuf {
		return decodeProtoPipelineReq(data, req)
	}
	return decodeJSONPipelineReq(data, req)
}

// AppendPipelineResp encodes the answer to a pipeline request, for a server.
func AppendPipelineResp(dst []byte, enc Encoding, resp *PipelineResp) ([]byte, error) {
	if enc == Protobuf {
		return appendProtoPipelineResp(dst, resp)
	}
	return appendJSONPipelineResp(dst, resp)
}

// DecodePipelineResp decodes the answer to a pipeline request.
func DecodePipelineResp(enc Encoding, data []byte, resp *PipelineResp) error {
	if enc == Protobuf {
		return decodeProtoPipelineResp(data, resp)
	}
	return decodeJSONPipelineResp(data, resp)
}

// DecodeError decodes what sqld answers in protobuf to a request that fails as a
// whole with an error that has a code. In JSON it has other forms beside this one.
func DecodeError(data []byte) (*Error, error) { return protoError(data) }

// AppendCursorReq encodes the body of a cursor request.
func AppendCursorReq(dst []byte, enc Encoding, req *CursorReq) ([]byte, error) {
	if enc == Protobuf {
		return appendProtoCursorReq(dst, req)
	}
	return appendJSONCursorReq(dst, req)
}

// DecodeCursorReq decodes the body of a cursor request, for a server.
func DecodeCursorReq(enc Encoding, data []byte, req *CursorReq) error {
	if enc == Protobuf {
		return decodeProtoCursorReq(data, req)
	}
	return decodeJSONCursorReq(data, req)
}

// NextMessage reads one message of a cursor's answer into buf[:0], which grows
// as it must, without what delimits it: a line feed in JSON, a length before it
// in protobuf. A message longer than limit bytes is an error. At the end of the
// answer it returns io.EOF; in the middle of a message, io.ErrUnexpectedEOF.
func NextMessage(enc Encoding, r *bufio.Reader, buf []byte, limit int) ([]byte, error) {
	if enc == Protobuf {
		return nextProtoMessage(r, buf, limit)
	}
	return nextJSONMessage(r, buf, limit)
}

// AppendCursorResp encodes the first message of a cursor's answer with its
// delimiter, for a server.
func AppendCursorResp(dst []byte, enc Encoding, resp *CursorResp) ([]byte, error) {
	if enc == Protobuf {
		return appendProtoCursorResp(dst, resp)
	}
	return appendJSONCursorResp(dst, resp)
}

// DecodeCursorResp decodes the first message of a cursor's answer.
func DecodeCursorResp(enc Encoding, msg []byte, resp *CursorResp) error {
	if enc == Protobuf {
		return decodeProtoCursorResp(msg, resp)
	}
	return decodeJSONCursorResp(msg, resp)
}

// AppendCursorEntry encodes one entry of a cursor's answer with its delimiter,
// for a server. The cells of a Row are those of the given row of t.
func AppendCursorEntry(dst []byte, enc Encoding, e *CursorEntry, t *exec.Table, row int) ([]byte, error) {
	if enc == Protobuf {
		return appendProtoCursorEntry(dst, e, t, row)
	}
	return appendJSONCursorEntry(dst, e, t, row)
}

// DecodeCursorEntry decodes one entry of a cursor's answer into e, of which
// only the fields that its Type names count. A Row's cells are appended to t as
// one more row, whose width must be t's; after an error t must be thrown away.
func DecodeCursorEntry(enc Encoding, msg []byte, e *CursorEntry, t *exec.Table) error {
	if enc == Protobuf {
		return decodeProtoCursorEntry(msg, e, t)
	}
	return decodeJSONCursorEntry(msg, e, t)
}
