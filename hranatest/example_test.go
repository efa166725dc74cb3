package hranatest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
)

// A server for a program that is not a test. A test would use NewServer, and a
// driver in place of the bare HTTP.
func ExampleStart() {
	server, err := hranatest.Start(hranatest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	body := `{"requests":[{"type":"execute","stmt":{"sql":"SELECT 1 + 1 AS two"}},{"type":"close"}]}`
	post := func() string {
		resp, err := http.Post(server.URL()+"/v3/pipeline", "application/json", strings.NewReader(body))
		if err != nil {
			return "no answer"
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		if _, rows, ok := strings.Cut(string(text), `"rows":`); ok {
			text = []byte(rows[:strings.Index(rows, `,"affected`)])
		}
		return fmt.Sprintf("%d %s", resp.StatusCode, text)
	}
	fmt.Println(post())

	server.Inject(1, hranatest.Status(http.StatusServiceUnavailable, time.Second))
	fmt.Println(post())
	fmt.Println(post())

	stats := server.Stats()
	fmt.Println(stats.Requests["/v3/pipeline"], "requests,", stats.Statements, "statements,", stats.Streams, "streams open")
	// Output:
	// 200 [[{"type":"integer","value":"2"}]]
	// 503 {"error":"Service Unavailable"}
	// 200 [[{"type":"integer","value":"2"}]]
	// 3 requests, 2 statements, 0 streams open
}
