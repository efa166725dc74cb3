package hrana

import "testing"

// Turso Cloud tells SQLite's extended code; sqld, and protobuf, do not.
func TestJSONExtendedCode(t *testing.T) {
	want := Error{Message: "UNIQUE constraint failed: t.a", Code: "SQLITE_CONSTRAINT", ExtendedCode: "SQLITE_CONSTRAINT_UNIQUE"}
	data, err := AppendPipelineResp(nil, JSON, &PipelineResp{Results: []StreamResult{{Err: &want}}})
	if err != nil {
		t.Fatal(err)
	}
	var resp PipelineResp
	if err := DecodePipelineResp(JSON, data, &resp); err != nil {
		t.Fatal(err)
	}
	if len(resp.Results) != 1 || resp.Results[0].Err == nil || *resp.Results[0].Err != want {
		t.Errorf("%s gives %+v", data, resp.Results)
	}
}
