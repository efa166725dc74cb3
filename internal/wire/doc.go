// Package wire decides how the bytes of an answer travel. A server can be asked
// to compress an answer; that costs its time and ours, and saves the path's.
// Which is more depends on the path, on the server and on what the answer holds,
// so all three are measured.
//
// Measured on sqld 0.24: gzip takes it 12 ns for each byte of a list of rows in
// JSON and 40 in protobuf, 27 of a JSON document, 50 of what cannot be compressed,
// and 80 us to begin. Nothing else is of use: brotli takes 1,300 ns, zstd is not
// there. A path of 1 Gbit/s takes 8 ns for a byte and one of 100 Mbit/s 80, so it
// pays on the second for most long answers, and on the first for none.
package wire
