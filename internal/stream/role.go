package stream

import (
	"context"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// Replica tells whether the server is known to be a replica.
func (p *Pool) Replica() bool { return p.horizon.role.Load() == replicaRole }

// LearnRole finds out whether the server is a replica, unless it is known or has been
// asked before. A replica tells its time for what it does itself and none for what it
// hands on to the primary, which is all that is in a transaction.
func (p *Pool) LearnRole(ctx context.Context) error {
	if p.horizon.role.Load() != unknownRole || p.askedRole.Load() {
		return nil
	}
	const look = "SELECT count(*) FROM sqlite_schema"
	level := p.client.AwaitLevel(ctx)
	var reqs []hrana.StreamReq
	for _, sql := range []string{look, "BEGIN", look, "ROLLBACK"} {
		reqs = append(reqs, hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: sql, WantRows: true}})
	}
	if level.V3() {
		reqs = append(reqs, hrana.StreamReq{Type: hrana.Close})
	}
	reply, err := p.client.Pipeline(ctx, p.client.Home(), level, &hrana.PipelineReq{Requests: reqs}, hranahttp.Expect{})
	if err != nil {
		return err
	}
	p.askedRole.Store(true)
	var told [4]bool
	for i := range told {
		if i >= len(reply.Results) || reply.Results[i].Stmt == nil {
			return nil
		}
		told[i] = reply.Results[i].Stmt.ServerTime > 0
	}
	switch itself, handed := told[0], told[1] || told[2] || told[3]; {
	case handed:
		p.horizon.setRole(primaryRole)
	case itself:
		p.horizon.setRole(replicaRole)
		p.tellReplica()
	}
	return nil
}

// tellReplica tells the watch, once, what the server is.
func (p *Pool) tellReplica() {
	if p.watch != nil && p.toldReplica.CompareAndSwap(false, true) {
		p.watch.Replica()
	}
}

// sawRole takes from an answer what it tells of the server, before anybody gets the
// answer.
func (p *Pool) sawRole(class exec.Class, results []hrana.StreamResult) {
	p.horizon.learnRoles(class, results)
	if p.Replica() {
		p.tellReplica()
	}
}
