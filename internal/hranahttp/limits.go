package hranahttp

// maxResponse is how much of an answer is read into memory. sqld stops at 10 MB
// for each execute or batch of a pipeline; the rest is for servers that allow
// more, and keeps a broken one from filling the client's memory.
const maxResponse = 128 << 20
