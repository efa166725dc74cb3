package hranatest

import (
	"context"
	"fmt"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// Limits of store_sql, sqld's own.
const (
	maxStored     = 50
	maxStoredSize = 5000
)

// serve answers one request of a pipeline. Its error ends the pipeline.
func (s *Server) serve(ctx context.Context, st *stream, req *hrana.StreamReq, version int) (hrana.StreamResult, error) {
	res := hrana.StreamResult{Type: req.Type}
	err := s.try(ctx, st, req, version, &res)
	if r, ok := err.(*refusal); ok {
		return hrana.StreamResult{Type: req.Type, Err: (*hrana.Error)(r)}, nil
	}
	return res, err
}

func (s *Server) try(ctx context.Context, st *stream, req *hrana.StreamReq, version int, res *hrana.StreamResult) error {
	switch req.Type {
	case hrana.Close:
		s.streams.closeConn(st)
		return nil
	case hrana.StoreSQL:
		return st.store(req.SQLID, req.SQL)
	case hrana.CloseSQL:
		delete(st.sqls, req.SQLID)
		return nil
	case hrana.GetAutocommit:
		if version < 3 {
			return misuse("The `get_autocommit` request is only supported in protocol version hrana3 and higher")
		}
	case hrana.Execute, hrana.BatchRequest, hrana.Sequence, hrana.Describe:
	default:
		return misuse("StreamRequest type not recognized")
	}
	c := st.conn
	if c == nil {
		return errStreamClosed
	}
	switch req.Type {
	case hrana.GetAutocommit:
		c.mu.Lock()
		defer c.mu.Unlock()
		res.IsAutocommit = c.db.GetAutocommit()
		return nil
	case hrana.Execute:
		q, err := s.query(st, &req.Stmt, false)
		if err != nil {
			return err
		}
		res.Stmt, err = s.execute(ctx, c, q)
		return err
	case hrana.BatchRequest:
		p, err := s.program(st, &req.Batch, version)
		if err != nil {
			return err
		}
		res.Batch, err = s.batch(ctx, c, p)
		return err
	}
	sql, err := st.text(req.SQL, req.SQLID, req.HasSQLID)
	if err != nil {
		return err
	}
	if req.Type == hrana.Sequence {
		return s.sequence(ctx, c, sql)
	}
	res.Describe, err = c.describe(sql)
	return err
}

// text is the SQL of a request: its own, or a stored one.
func (st *stream) text(sql string, id int32, stored bool) (string, error) {
	if !stored {
		return sql, nil
	}
	sql, ok := st.sqls[id]
	if !ok {
		return "", misuse(fmt.Sprintf("SQL text %d not found", id))
	}
	return sql, nil
}

func (st *stream) store(id int32, sql string) error {
	if _, ok := st.sqls[id]; ok {
		return misuse(fmt.Sprintf("SQL text %d already exists", id))
	}
	if len(st.sqls) >= maxStored {
		return refuse("SQL_STORE_TOO_MANY",
			fmt.Sprintf("The server already stores %d SQL texts, it cannot store more", len(st.sqls)))
	}
	if len(sql) > maxStoredSize {
		return refuse("SQL_STORE_TOO_LARGE",
			fmt.Sprintf("The statement is too large to be stored: %s/5.0 KB", kilobytes(len(sql))))
	}
	if st.sqls == nil {
		st.sqls = make(map[int32]string)
	}
	st.sqls[id] = sql
	return nil
}

// kilobytes is a size above 1000 bytes as Rust's bytesize writes it.
func kilobytes(n int) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// query reads a statement. If strict, a text that is not SQL is an error now and
// not when it is executed.
func (s *Server) query(st *stream, stmt *hrana.Stmt, strict bool) (*query, error) {
	sql, err := st.text(stmt.SQL, stmt.SQLID, stmt.HasSQLID)
	if err != nil {
		return nil, err
	}
	text := s.parser.read(sql, strict)
	if len(text.commands) == 0 {
		if text.err != nil {
			return nil, text.err
		}
		return nil, errNoStmt
	}
	if len(text.commands) > 1 || text.err != nil {
		return nil, errManyStmts
	}
	first := &text.commands[0]
	if len(stmt.Args) > 0 && len(stmt.Named) > 0 {
		return nil, errBothArgs
	}
	return &query{
		sql: first.sql, kind: first.kind, sets: first.sets,
		args: stmt.Args, named: stmt.Named,
		wantRows: stmt.WantRows || !s.opts.Profile.honoursWantRows(),
	}, nil
}

// program reads a batch.
func (s *Server) program(st *stream, b *hrana.Batch, version int) (*program, error) {
	p := &program{steps: make([]step, len(b.Steps))}
	for i := range b.Steps {
		q, err := s.query(st, &b.Steps[i].Stmt, true)
		if err != nil {
			return nil, err
		}
		p.steps[i] = step{cond: b.Steps[i].Cond, query: *q}
		if p.steps[i].cond != nil {
			if err := checkCond(p.steps[i].cond, i, version); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (s *Server) execute(ctx context.Context, c *conn, q *query) (*exec.Result, error) {
	l := collector{limit: s.opts.MaxResponse}
	p := program{steps: []step{{query: *q}}}
	if err := c.run(ctx, &p, &l); err != nil {
		return nil, err
	}
	if r := l.errors[0]; r != nil {
		return nil, (*refusal)(r)
	}
	l.results[0].ReplicationIndex = s.replicationIndex()
	return l.results[0], nil
}

func (s *Server) batch(ctx context.Context, c *conn, p *program) (*hrana.BatchResult, error) {
	l := collector{limit: s.opts.MaxResponse}
	if err := c.run(ctx, p, &l); err != nil {
		return nil, err
	}
	return &hrana.BatchResult{Steps: l.results, Errors: l.errors, ReplicationIndex: s.replicationIndex()}, nil
}

// sequence runs the statements of a script until the first error. It is a batch
// whose steps need each the one before.
func (s *Server) sequence(ctx context.Context, c *conn, sql string) error {
	text := s.parser.read(sql, true)
	if text.err != nil {
		return text.err
	}
	p := program{steps: make([]step, len(text.commands))}
	for i := range text.commands {
		cmd := &text.commands[i]
		p.steps[i].query = query{sql: cmd.sql, kind: cmd.kind, sets: cmd.sets}
		if i > 0 {
			p.steps[i].cond = &hrana.Cond{Type: hrana.CondOK, Step: uint32(i - 1)}
		}
	}
	var l collector
	if err := c.run(ctx, &p, &l); err != nil {
		return err
	}
	for _, r := range l.errors {
		if r != nil {
			return (*refusal)(r)
		}
	}
	return nil
}

// describe compiles a text that sqld does not read first: what it refuses to
// execute it describes.
func (c *conn) describe(sql string) (*hrana.DescribeInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.db.SetInterrupt(context.Background())
	stmt, _, err := c.db.Prepare(sql)
	if err != nil {
		return nil, sqliteRefusal(err, sql)
	}
	info := &hrana.DescribeInfo{IsReadonly: true}
	if stmt == nil {
		return info, nil
	}
	defer stmt.Close()
	for i := range stmt.BindCount() {
		info.Params = append(info.Params, stmt.BindName(i+1))
	}
	info.Cols = columns(stmt)
	info.IsReadonly = stmt.ReadOnly()
	info.IsExplain = explains(sql)
	return info, nil
}
