package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// A patient is the database that is looked at, and what the steps so far have
// found out for those that follow.
type patient struct {
	cfg *tursoopt.Config
	// fromEnv: the DSN is the environment's.
	fromEnv bool
	ep      *target.Endpoint
	// proxy is the HTTP proxy that the environment names for the database.
	proxy     *url.URL
	transport *http.Transport
	addrs     []string // what the host's name stands for
	version   string
	version3  bool // of the protocol is offered, and in protobuf
	protobuf  bool
	roundTrip time.Duration
	baton     string
}

// maxAnswer is how much of an answer is read.
const maxAnswer = 1 << 20

func newPatient(cfg *tursoopt.Config, fromEnv bool) *patient {
	return &patient{cfg: cfg, fromEnv: fromEnv, transport: &http.Transport{
		// As the driver's own: no redirects, no compression, HTTP/2 where TLS
		// offers it.
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: cfg.TLSConfig.Clone(),
	}}
}

func (p *patient) close() { p.transport.CloseIdleConnections() }

// An answer is the server's to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
	proto  string
	took   time.Duration
}

// ask sends one request and reads the answer. A redirect is an answer.
func (p *patient) ask(ctx context.Context, method, path string, body []byte) (*answer, error) {
	var header http.Header
	if body != nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	return p.askWith(ctx, method, path, body, header)
}

// askWith is ask with headers of the request's own.
func (p *patient) askWith(ctx context.Context, method, path string, body []byte, header http.Header) (*answer, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := p.ep.Request(ctx, method, path, r)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	began := time.Now()
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: text, proto: resp.Proto, took: time.Since(began)}, nil
}

// A pipelineAnswer is what the doctor reads of Hrana's answer in JSON.
type pipelineAnswer struct {
	Baton   string `json:"baton"`
	Results []struct {
		Type  string `json:"type"`
		Error *struct {
			Message, Code string
		} `json:"error"`
		Response struct {
			Result struct {
				Rows [][]struct {
					Value any `json:"value"`
				} `json:"rows"`
				QueryDurationMS *float64 `json:"query_duration_ms"`
			} `json:"result"`
		} `json:"response"`
	} `json:"results"`
}

type streamRequest struct {
	Type string     `json:"type"`
	Stmt *statement `json:"stmt,omitempty"`
}

type statement struct {
	SQL string `json:"sql"`
}

// pipeline runs statements on the patient's stream by version 2 of the protocol,
// which every server has. pa is nil if the answer is not Hrana's.
func (p *patient) pipeline(ctx context.Context, sql ...string) (a *answer, pa *pipelineAnswer, err error) {
	requests := []streamRequest{}
	for _, text := range sql {
		requests = append(requests, streamRequest{"execute", &statement{text}})
	}
	a, pa, err = p.send(ctx, requests)
	if err == nil && pa != nil && len(pa.Results) != len(requests) {
		pa = nil
	}
	return a, pa, err
}

func (p *patient) send(ctx context.Context, requests []streamRequest) (*answer, *pipelineAnswer, error) {
	message := map[string]any{"requests": requests}
	if p.baton != "" {
		message["baton"] = p.baton
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, nil, err
	}
	p.baton = ""
	a, err := p.ask(ctx, http.MethodPost, "v2/pipeline", body)
	if err != nil {
		return nil, nil, err
	}
	if a.status != http.StatusOK {
		return a, nil, nil
	}
	var pa pipelineAnswer
	if json.Unmarshal(a.body, &pa) != nil || pa.Results == nil {
		return a, nil, nil
	}
	p.baton = pa.Baton
	return a, &pa, nil
}

// endStream closes the patient's stream; a server that does not know how ends it
// by itself some seconds later.
func (p *patient) endStream(ctx context.Context) {
	if p.baton != "" {
		_, _, _ = p.send(ctx, []streamRequest{{Type: "close"}})
		p.baton = ""
	}
}
