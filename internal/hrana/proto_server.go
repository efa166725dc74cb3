package hrana

import (
	"errors"

	"github.com/turso-opt/turso-opt/internal/exec"
)

var errNotYet = errors.New("not yet")

func decodeProtoPipelineReq(data []byte, req *PipelineReq) error             { return errNotYet }
func appendProtoPipelineResp(dst []byte, resp *PipelineResp) ([]byte, error) { return nil, errNotYet }
func decodeProtoCursorReq(data []byte, req *CursorReq) error                 { return errNotYet }
func appendProtoCursorResp(dst []byte, resp *CursorResp) ([]byte, error)     { return nil, errNotYet }
func appendProtoCursorEntry(dst []byte, e *CursorEntry, t *exec.Table, row int) ([]byte, error) {
	return nil, errNotYet
}
