package hranatest

import "strings"

var conversations = []conversation{
	{"values", []exchange{
		executes(`select 1, -1, 9223372036854775807, -9223372036854775808, 1.5, 1e400, -1e400, 1e15, 1e21, 1e-7, 0.1, 123456789.125, -0.0`),
		executes(`select 'text', '', 'a''b', 'ünïcödé ☃ 𝄞', 'a'||char(0)||'b', char(10,13,9,8,12,34,92,47,1,127,8232)`),
		executes(`select x'', x'00', x'0001ff', zeroblob(5), null, 9e999-9e999`),
		pipeline(
			execute(`select ?, ?, ?, ?, ?, ?, ?`,
				`{"type":"null"}`, `{"type":"integer","value":"-9223372036854775808"}`, `{"type":"float","value":2.5}`,
				`{"type":"text","value":"a\u0000b\ud834\udd1e"}`, `{"type":"blob","base64":"AAH/"}`, `{"type":"blob","base64":""}`, `{"type":"text","value":""}`),
			execute(`select typeof(?), typeof(?), typeof(?), typeof(?)`, `{"type":"blob","base64":""}`, `{"type":"text","value":""}`, `{"type":"float","value":1}`, `{"type":"integer","value":"1"}`),
			execute(`select ?`, `{"type":"blob","base64":"AAE="}`),
		),
	}},
	{"columns", []exchange{
		executes(
			`create table t(a integer primary key, b VarChar(10) not null, c, d decimal(10, 2), "e e" text)`,
			`select * from t`, `select a, b as x, b+1, "e e", t.d, count( * ) from t`, `select rowid, _rowid_ from t`,
			`create view v as select a, b||'x' as bx, d from t`, `select * from v`,
			`select a from (select a from t union all select 1)`, `values (1, 'x'), (2, 'y')`,
			`insert into t values(7, 'b', 1, 2, 3) returning a, b, a+1 as n`,
			`update t set b='c' where a=7 returning *`, `delete from t returning a`,
			`select 1 as a, 2 as a`, `select`, `select 1 where 0`,
		),
	}},
	{"row counts and ids", []exchange{
		executes(
			`create table t(a integer primary key, b unique)`, `insert into t(b) values('x')`, `insert into t values(100,'y')`,
			`insert into t(b) values('z'),('zz')`, `insert or ignore into t values(100,'q')`, `insert into t values(100,'q') on conflict do update set b='qq'`,
			`replace into t values(100,'qqq')`, `update t set b=b||'!'`, `update t set b=1 where a=-1`, `delete from t where a<3`,
			`select changes(), total_changes(), last_insert_rowid()`, `with n as (select 5 as a) insert into t select a, 'n' from n`,
			`with n as (select 5 as a) delete from t where a in (select a from n)`, `delete from t`,
			`create table w(k text primary key, v) without rowid`, `insert into w values('a', 1)`, `select changes(), last_insert_rowid()`,
		),
		executes(`select changes(), total_changes(), last_insert_rowid()`).on("fresh"),
		executes(`insert into w values('b', 1)`, `update w set v=2`).on("fresh"),
		executes(`select changes(), total_changes(), last_insert_rowid()`).on("fresh"),
		pipeline(`{"type":"close"}`).on("fresh"),
		executes(`select changes(), total_changes(), last_insert_rowid()`).on("third"),
		executes(
			`create table u(a, b)`, `create view v as select a from u`,
			`create trigger tr instead of insert on v begin insert into u values(new.a, 1); insert into u values(new.a, 2); end`,
			`insert into v values(5)`, `select * from u`, `select changes(), total_changes()`,
		).on("third"),
	}},
	{"constraints", []exchange{
		executes(
			`create table t(a integer primary key, b text unique, c int not null, d int check (d > 0))`,
			`create table c(t int references t(a))`,
			`insert into t values(1,'x',1,1)`, `insert into t values(1,'y',1,1)`, `insert into t values(2,'x',1,1)`,
			`insert into t values(2,'y',null,1)`, `insert into t values(2,'y',1,-1)`, `insert into c values(9)`, `insert into c values(1)`,
			`delete from t`, `insert into t values('a','y',1,1)`, `select count(*) from t`,
			`create table u(a int) strict`, `insert into u values('x')`,
			`create table w(a, b, primary key(a, b)) without rowid`, `insert into w values(1,1)`, `insert into w values(1,1)`,
		),
	}},
	{"errors", []exchange{
		executes(
			`select * from nope`, `select nope`, `create table t(a, b)`, `create table t(a)`, `select nope from t`, `select nope(1)`,
			`select t.nope from t`, `select nope.a from t`, `insert into t values(1)`, `insert into t(x) values(1)`, `select abs()`,
			`select max(1,2,3)`, `select json('{')`, `select abs(-9223372036854775808)`, `select raise(abort, 'x')`,
			`drop table nope`, `drop index nope`, `drop view t`, `alter table t rename column x to y`, `create index i on nope(a)`,
			`select 1 union select 1, 2`, `select a from t group by 5`, `select * from t order by 9`, `select sum(sum(a)) from t`,
			`select "dq"`, `select 'a' like 'b' escape 'cc'`, `select zeroblob(6000000)`, `select * from t where a match 'x'`,
			"  \n select nope", `/* c */ select nope -- x`, `update t set x=1`, `delete from t where x=1`, `select (select a, b from t)`,
			`select * from t limit 'x'`, `release nope`, `rollback to nope`, `commit`, `rollback`, `begin`, `begin`, `rollback`,
			`detach nope`, `reindex nope`, `select cast('x' as`, `savepoint a`, `rollback`, `pragma table_info(nope)`,
			`insert into t select 1`, `create trigger x after insert on nope begin select 1; end`, `explain select nope`,
			`create table sqlite_x(a)`, `drop table sqlite_master`, `insert into sqlite_master values(1,2,3,4,5)`,
		),
	}},
	{"syntax errors", []exchange{
		executes(
			`selec 1`, `select (1`, `select 'abc`, `select 1 frm t x`, "select 1,\n  from t", `insert into t valuesx (1)`, `select * from t where`,
			`select 1 +`, `select @`, `select 1 # 2`, "select `a", `select "a`, `select [a`, `/* x`, `select x'1'`, `select x'`, `select 1e`, `select 12a`,
			`create table t`, `select )`, `select 1 2`, `select 'a' 'b' 'c'`, `select * from`, `begin concurrent`, `select 1 from t where order by 1`,
			`update`, `delete t`, `insert t`, `drop`, `create`, `select $`, `select :`, `select ?0`, `select ?99999`, `select 1 as`, `+`, `;;`, `(`,
			`select a b c from t`, `table t`, `select * from t;drop`, "select\n\n1 x y z", `select "a" "b" "c"`, `select 1,,2`, `select =1`, `select * t`,
			`create table t(a b c d`, `create table t(a,)`, `select * from t join`, `commit work now`, `alter table t add`, `pragma`, `values`, `with x select 1`, "select 'ü' ü ü",
			`select <> 1`, `select 1 || || 2`, `select case end`, `select not`, `select . 1`, `select t.`, `select -- c`, `explain`, `explain query`, `select !`, `select ~`, "select \x01", `select {`, `select ☃ ☃ ☃`,
		),
	}},
	{"vectors", []exchange{
		executes(
			`select hex(vector32('[1,2.5,-3]')), typeof(vector('[1]')), hex(vector('[1]')), hex(vector64('[1,2.5]'))`, `select vector_extract(vector32('[1,2.5,-3, 0.1,1e10,1e-7,123456789]')), vector_extract(vector64('[0.1,1,1e300,123456789.123]'))`,
			`select round(vector_distance_cos(vector32('[1,2]'),vector32('[2,1]')), 6), round(vector_distance_l2(vector32('[1,2]'),vector32('[2,1]')), 6)`, `select vector_distance_l2(vector64('[1,2]'),vector64('[2,1]'))`,
			`select vector_distance_cos('[1,2]','[2,1]'), vector_distance_l2(vector64('[1,2]'),'[2,1]')`, `select vector_extract(x'0000803f00002040')`, `select vector_extract('[1,  2]')`, `select vector32('[1,x]')`, `select vector32('nope')`, `select vector32(1)`, `select vector32(null)`,
			`select vector32(1.5)`, `select vector32(x'000080')`, `select vector32(x'0000803f')`, `select vector_distance_cos(vector32('[1,2]'),vector32('[2]'))`, `select vector_extract(1)`, `select hex(vector32('[]'))`, `select vector_extract(vector32('[]'))`, `select vector32('[1,]')`,
			`select vector_distance_cos(vector32('[0,0]'),vector32('[0,0]'))`, `select hex(vector32(vector64('[1,2]')))`, `select vector32(' [1] ')`, `select vector_extract(null)`, `create table t(a integer primary key, e F32_BLOB(2))`, `insert into t values(1, vector32('[1,2]')), (2, vector32('[3,4]'))`,
			`select a, e, vector_extract(e) from t order by vector_distance_l2(e, vector32('[3,3]'))`,
		),
	}},
	{"virtual tables", []exchange{
		executes(
			`create virtual table u using fts5(a, b)`, `insert into u values('one two', 'three'), ('two', 'four')`, `select a from u where u match 'two' order by rank`, `select highlight(u, 0, '<', '>') from u where u match 'one'`, `delete from u where a match 'one'`, `select count(*) from u`, `select * from u where u match 'x y"'`,
			`create virtual table w using rtree(id, x0, x1)`, `insert into w values(1, 0, 10)`, `select * from w where x0 > -5 and x1 < 20`, `create virtual table v using nope(a)`,
		),
	}},
	{"many statements", []exchange{
		executes(`select 1; select 2`, `select 1;`, ` ; select 1`, `select 1; ;`, `select 1; -- c`, `-- c`, ``, ` `, `;`, `select 1; selec`, `select 1; selec 2`, `select 1; )`, `selec; select 1`, `select nope; select`, `select 1 /* x`, `select 1; /* x`, `/* x */ select 1`, `select /* x`, `select 1 /* x */`, `select 1 -- x`, `select 1 /`, `select 1 /*`, `/*`, `select '/* x'`, `vacuum; select 1`, `select 1; vacuum`),
	}},
	{"NUL bytes", []exchange{
		executes("select 1\x00", "select '\x00'", "\x00select 1", "select 1;\x00", "select 1;\x00 select 2", "select \"\x00\"", "select [\x00] from t", "select 'a' ;; \x00"),
		pipeline(batch(stepOf("select 1"), stepOf("select 2 \x00")), batch(stepOf("select '\x00'")), `{"type":"describe","sql":"select 1\u0000 x"}`, `{"type":"sequence","sql":"select 1\u0000"}`, `{"type":"sequence","sql":"select '\u0000'"}`),
	}},
	{"refused", []exchange{
		executes(
			`create temp table x(a)`, `create temporary table x(a)`, `CREATE TABLE temp.x(a)`, `create temp view v as select 1`, `create temp trigger x after insert on t begin select 1; end`,
			`vacuum`, `VACUUM;`, `analyze`, `analyze t`, `attach 'x.db' as x`, `attach database 'x' as x`, `detach main`, `vacuum into 'x'`, ` vacuum `, `-- c
vacuum`, `vacuum x y`, `create temp table x(`,
			`begin readonly`, `select 1`, `commit`, `begin deferred`, `end`, `begin exclusive transaction`, `commit transaction`,
		),
		pipeline(batch(stepOf("-- c\nbegin  readonly"), stepOf(`select 1`), stepOf(`commit`)), `{"type":"sequence","sql":"begin readonly transaction; select 1; end"}`, execute(`begin readonly x y`)),
		pipeline(execute(`attach foo as x`)),
		executes(`select 1`),
	}},
	{"pragmas", []exchange{
		executes(
			`pragma journal_mode`, `pragma main.journal_mode`, `pragma journal_mode=delete`, `pragma foreign_keys`, `PRAGMA Foreign_Keys=off`, `pragma foreign_keys`,
			`pragma foreign_keys=1`, `pragma foreign_keys`, `pragma user_version`, `pragma user_version=7`, `pragma user_version`, `pragma user_version=0`, `pragma nope`, `pragma synchronous=off`,
			`pragma cache_size=10`, `pragma busy_timeout=1`, `pragma query_only=1`, `pragma recursive_triggers=1`, `pragma wal_checkpoint`, `pragma optimize`,
			`pragma case_sensitive_like=1`, `pragma encoding`, `pragma table_info(t)`, `create table t(a int default 5, b text not null, primary key(b))`, `pragma table_info(t)`, `pragma table_xinfo('t')`,
			`pragma index_list(t)`, `pragma index_info(sqlite_autoindex_t_1)`, `pragma foreign_key_list(t)`, `pragma foreign_key_check`, `pragma integrity_check`, `pragma quick_check`, `pragma writable_schema=1`,
			`pragma defer_foreign_keys`, `pragma defer_foreign_keys=1`, `pragma recursive_triggers`, `pragma table_list('t')`, `pragma application_id`, `pragma application_id=1`, `pragma schema.x.y`, `pragma auto_vacuum`,
			`pragma secure_delete`, `pragma read_uncommitted`, `pragma legacy_alter_table`, `pragma ignore_check_constraints`, `pragma reverse_unordered_selects`,
			`pragma incremental_vacuum`, `pragma page_size`, `pragma temp_store`, `pragma locking_mode`, `pragma query_only`, `pragma threads`, `pragma foreign_keys(0)`, `pragma foreign_keys`, `pragma mmap_size`, `pragma mmap_size=0`, `pragma count_changes`, `pragma table_info(x) x`,
		),
		executes(`pragma foreign_keys`, `pragma defer_foreign_keys`).on("other"),
	}},
	{"arguments", []exchange{
		pipeline(
			execute(`select ?,?`, `{"type":"integer","value":"1"}`), execute(`select ?`, `{"type":"null"}`, `{"type":"null"}`), execute(`select ?1, :a`), execute(`select ?3`, `{"type":"null"}`, `{"type":"null"}`, `{"type":"integer","value":"3"}`),
			execute(`select ?3`, `{"type":"null"}`), execute(`select :a`, `{"type":"null"}`), execute(`select 1`, `{"type":"null"}`), execute(`select ?2, ?1`, `{"type":"integer","value":"1"}`, `{"type":"integer","value":"2"}`),
			`{"type":"execute","stmt":{"sql":"select :a, @b, $c, :a","named_args":[{"name":"a","value":{"type":"integer","value":"1"}},{"name":"@b","value":{"type":"text","value":"b"}},{"name":"c","value":{"type":"float","value":1}}]}}`,
			`{"type":"execute","stmt":{"sql":"select :a","named_args":[{"name":"b","value":{"type":"null"}}]}}`,
			`{"type":"execute","stmt":{"sql":"select :a, $a","named_args":[{"name":"a","value":{"type":"integer","value":"1"}},{"name":"$a","value":{"type":"integer","value":"2"}}]}}`,
			`{"type":"execute","stmt":{"sql":"select :a","named_args":[{"name":"a","value":{"type":"integer","value":"1"}},{"name":"a","value":{"type":"integer","value":"2"}}]}}`,
			`{"type":"execute","stmt":{"sql":"select ?","args":[{"type":"null"}],"named_args":[{"name":"b","value":{"type":"null"}}]}}`,
			`{"type":"execute","stmt":{"sql":"select ?","named_args":[{"name":"1","value":{"type":"null"}}]}}`,
			`{"type":"execute","stmt":{"sql":"explain select ?"}}`,
			execute(`select nope, ?`, `{"type":"null"}`, `{"type":"null"}`),
			execute(`insert into nope values(?)`),
		),
	}},
	{"want_rows", []exchange{
		pipeline(`{"type":"execute","stmt":{"sql":"select 1","want_rows":false}}`, `{"type":"execute","stmt":{"sql":"select 1","want_rows":true}}`),
	}},
	{"a pipeline goes on", []exchange{
		executes(`create table t(a)`, `insert into t values(1)`, `insert into nope values(1)`, `insert into t values(2)`, `select * from t`),
		pipeline(execute(`begin`), execute(`insert into t values(3)`), `{"type":"close"}`),
		executes(`select * from t`),
		pipeline(`{"type":"close"}`, execute(`select 1`)),
		pipeline(execute(`insert into t values(4)`), `{"type":"close"}`, `{"type":"close"}`),
		executes(`select * from t`),
	}},
	{"transactions", []exchange{
		executes(`create table t(a unique)`, `begin`, `insert into t values(1)`),
		executes(`select * from t`).on("other"),
		pipeline(execute(`insert into t values(1)`), execute(`select * from t`), execute(`savepoint x`), execute(`insert into t values(2)`), execute(`rollback to x`), execute(`release x`), execute(`commit`)),
		executes(`select * from t`).on("other"),
		executes(`begin immediate`, `insert into t values(3)`, `insert or rollback into t values(3)`, `commit`, `select * from t`),
		executes(`begin`, `select * from t`).on("reader"),
		executes(`insert into t values(4)`),
		executes(`select * from t`, `insert into t values(5)`, `select * from t`, `commit`, `select * from t`).on("reader"),
		executes(`begin`, `create table u(a)`, `rollback`, `select * from u`),
		executes(`begin`, `insert into nope values(1)`, `select 1`, `selec`, `rollback`),
		executes(`begin`, `delete from t`), pipeline(`{"type":"close"}`), executes(`select count(*) from t`),
	}},
	{"autocommit", []exchange{
		pipeline(`{"type":"get_autocommit"}`, execute(`begin`), `{"type":"get_autocommit"}`, execute(`commit`), `{"type":"get_autocommit"}`),
	}},
	{"batches", []exchange{
		pipeline(
			batch(), batch(stepOf(`create table t(a unique)`), stepOf(`insert into t values(1)`), stepOf(`select * from t`)),
			batch(stepOf(`insert into t values(1)`), stepOf(`insert into t values(2)`), stepOf(`insert into nope values(3)`), stepOf(`select * from t`)),
			batch(stepOf(`insert into t values(10)`), stepOf(`selec`), stepOf(`insert into t values(11)`)), execute(`select * from t`),
			batch(stepOf(`insert into t values(10)`), stepOf(``)), batch(stepOf(`select 1; select 2`)), batch(stepOf(`insert into t values(10)`), stepOf(`vacuum`)), execute(`select * from t`),
			batch(stepOf(`select ?`)),
			batch(stepOf(`begin`), stepOf(`insert into t values(20)`, `{"type":"ok","step":0}`), stepOf(`insert into t values(20)`, `{"type":"ok","step":1}`), stepOf(`commit`, `{"type":"ok","step":2}`), stepOf(`rollback`, `{"type":"not","cond":{"type":"ok","step":3}}`)),
			execute(`select * from t`),
		),
	}},
	{"conditions", []exchange{
		pipeline(
			batch(stepOf(`select 1`), stepOf(`select nope`), stepOf(`select 2`, `{"type":"ok","step":0}`), stepOf(`select 3`, `{"type":"error","step":0}`), stepOf(`select 4`, `{"type":"ok","step":1}`), stepOf(`select 5`, `{"type":"error","step":1}`),
				stepOf(`select 6`, `{"type":"ok","step":3}`), stepOf(`select 7`, `{"type":"error","step":3}`), stepOf(`select 8`, `{"type":"not","cond":{"type":"error","step":3}}`),
				stepOf(`select 9`, `{"type":"and","conds":[]}`), stepOf(`select 10`, `{"type":"or","conds":[]}`), stepOf(`select 11`, `{"type":"and","conds":[{"type":"ok","step":0},{"type":"error","step":1}]}`),
				stepOf(`select 12`, `{"type":"and","conds":[{"type":"ok","step":0},{"type":"ok","step":1}]}`), stepOf(`select 13`, `{"type":"or","conds":[{"type":"ok","step":1},{"type":"ok","step":0}]}`),
				stepOf(`select 14`, `{"type":"or","conds":[{"type":"ok","step":1},{"type":"not","cond":{"type":"ok","step":0}}]}`)),
			batch(stepOf(`select 1`, `{"type":"not","cond":{"type":"and","conds":[]}}`), stepOf(`select 2`), stepOf(`select 3`, `{"type":"or","conds":[]}`)),
		),
		pipeline(batch(stepOf(`select 1`, `{"type":"ok","step":0}`))),
		pipeline(batch(stepOf(`select 1`), stepOf(`select 1`, `{"type":"not","cond":{"type":"error","step":7}}`))),
		pipeline(batch(stepOf(`selec`), stepOf(`select 1`, `{"type":"ok","step":7}`))),
		pipeline(batch(stepOf(`select 1`, `{"type":"is_autocommit"}`), stepOf(`begin`), stepOf(`select 2`, `{"type":"is_autocommit"}`), stepOf(`select 3`, `{"type":"not","cond":{"type":"is_autocommit"}}`), stepOf(`commit`, `{"type":"not","cond":{"type":"is_autocommit"}}`), stepOf(`select 4`, `{"type":"is_autocommit"}`))),
	}},
	{"sequences", []exchange{
		pipeline(`{"type":"sequence","sql":"create table t(a unique);  insert into t  values( 1 ); insert into t values(2);\n select nope; insert into t values(3)"}`, execute(`select * from t`),
			`{"type":"sequence","sql":""}`, `{"type":"sequence","sql":"-- c"}`, `{"type":"sequence","sql":"insert into t values(7); selec"}`, `{"type":"sequence","sql":"insert into t values(7); selec 2; select 1"}`, execute(`select * from t`),
			`{"type":"sequence","sql":"insert into t values(8); vacuum"}`, `{"type":"sequence","sql":"insert into t values(1); select 1"}`, `{"type":"sequence","sql":"select ?"}`,
			`{"type":"sequence","sql":"begin; insert into t values(9)"}`, execute(`rollback`), execute(`select * from t`),
			`{"type":"sequence","sql":"create  table u( a , b );create  view  v as select  1 ;create trigger tr after insert on u begin insert into t values(new.a); insert into t values(new.b);  end ; insert into u values(100, 101)"}`,
			execute(`select name, sql from sqlite_master order by 1`), execute(`select * from t`),
		),
	}},
	{"describe", []exchange{
		pipeline(execute(`create table t(a integer primary key, b varchar(5))`),
			`{"type":"describe","sql":"select a, :x, ?, b+1 as n from t"}`, `{"type":"describe","sql":"insert into t values(?5, $a)"}`, `{"type":"describe","sql":"insert into t values(1,2) returning *"}`, `{"type":"describe","sql":"explain select 1"}`, `{"type":"describe","sql":"explain query plan select 1"}`,
			`{"type":"describe","sql":""}`, `{"type":"describe","sql":"selec"}`, `{"type":"describe","sql":"select 1; select 2"}`, `{"type":"describe","sql":"select * from nope"}`, `{"type":"describe","sql":"vacuum"}`, `{"type":"describe","sql":"begin"}`, `{"type":"describe","sql":"begin immediate"}`, `{"type":"describe","sql":"attach foo as x"}`, `{"type":"describe","sql":"create temp table x(a)"}`, `{"type":"describe","sql":"pragma foreign_keys"}`, `{"type":"describe","sql":"select 1 x y"}`),
	}},
	{"stored texts", []exchange{
		pipeline(`{"type":"store_sql","sql_id":1,"sql":"select 1"}`, `{"type":"store_sql","sql_id":-2,"sql":"selec"}`, `{"type":"execute","stmt":{"sql_id":1}}`, `{"type":"execute","stmt":{"sql_id":-2}}`, `{"type":"describe","sql_id":1}`, `{"type":"sequence","sql_id":1}`, `{"type":"batch","batch":{"steps":[{"stmt":{"sql_id":1}}]}}`, `{"type":"close_sql","sql_id":1}`, `{"type":"close_sql","sql_id":1}`, `{"type":"store_sql","sql_id":1,"sql":"select 2"}`, `{"type":"execute","stmt":{"sql_id":1}}`),
		pipeline(`{"type":"execute","stmt":{"sql_id":1}}`),
		pipeline(`{"type":"execute","stmt":{"sql_id":9}}`),
		pipeline(execute(`select 1`)),
		pipeline(`{"type":"store_sql","sql_id":1,"sql":"select 1"}`, `{"type":"store_sql","sql_id":1,"sql":"select 1"}`),
		pipeline(`{"type":"store_sql","sql_id":1,"sql":"`+strings.Repeat("x", 5001)+`"}`, `{"type":"store_sql","sql_id":1,"sql":"`+strings.Repeat("x", 5000)+`"}`, `{"type":"store_sql","sql_id":2,"sql":"`+strings.Repeat("x", 12345)+`"}`),
		pipeline(storeMany(52)...).on("many"),
		pipeline(`{"type":"close"}`, `{"type":"store_sql","sql_id":100,"sql":"x"}`, `{"type":"close_sql","sql_id":100}`).on("many"),
		pipeline(`{"type":"describe","sql_id":9}`).on("c"),
		pipeline(`{"type":"sequence","sql_id":9}`).on("d"),
		cursor(`{"stmt":{"sql_id":9}}`).on("e"),
	}},
	{"batons", []exchange{
		{path: "pipeline", body: `{"baton":"abc","requests":[]}`},
		{path: "pipeline", body: `{"baton":"` + strings.Repeat("A", 64) + `","requests":[]}`},
		{path: "pipeline", body: `{"baton":"` + strings.Repeat("!", 64) + `","requests":[]}`},
		{path: "cursor", body: `{"baton":"abc","batch":{"steps":[]}}`},
		pipeline(), pipeline(), pipeline(`{"type":"close"}`), pipeline(),
	}},
	{"cursors", []exchange{
		cursor(), cursor(stepOf(`create table t(a, b text)`), stepOf(`insert into t values(1,'x'),(2,'y')`), stepOf(`select * from t`), stepOf(`select * from t where 0`)),
		cursor(stepOf(`select nope`), stepOf(`select 1`, `{"type":"ok","step":0}`), stepOf(`select 2`, `{"type":"error","step":0}`), stepOf(`select abs(-9223372036854775808)`), stepOf(`select ?`)),
		cursor(stepOf(`begin`), stepOf(`insert into t values(3,'z')`)), executes(`select count(*) from t`, `rollback`),
		cursor(stepOf(`select a, case when a=2 then abs(-9223372036854775808) else a end from t`), stepOf(`select 5`)),
		cursor(stepOf(`insert into t values(4,'q') returning a, b`)),
		cursor(stepOf(`select 1e400, x'', null, 'ü'`)),
		cursor(stepOf(`insert into t values(10,1)`), stepOf(`selec`)), executes(`select count(*) from t`),
		cursor(stepOf(``)), cursor(stepOf(`select 1; select 2`)), cursor(stepOf(`vacuum`)), cursor(stepOf(`select 1`, `{"type":"ok","step":0}`)),
		cursor(stepOf(`select 1`), stepOf(`attach foo as x`)), executes(`select 1`),
	}},
	{"invalid UTF-8", []exchange{
		executes(`create table t(a)`),
		executes(`insert into t values(1)`, `select 'a'||cast(x'ff' as text)`),
		executes(`select * from t`).on("b"),
		executes(`select cast(x'e282' as text)`).on("c"), executes(`select cast(x'41c3' as text)`).on("d"), executes(`select cast(x'c328' as text)`).on("e"), executes(`select cast(x'e28241' as text)`).on("f"),
		pipeline(batch(stepOf(`insert into t values(2)`), stepOf(`select cast(x'ff' as text)`), stepOf(`insert into t values(3)`))).on("g"),
		executes(`select * from t`).on("b"),
		cursor(stepOf(`select cast(x'ff' as text)`)).on("h"),
	}},
	{"the protocol", []exchange{
		{path: "/v3/pipeline", body: `{`}, {path: "/v3/pipeline", body: `{}`}, {path: "/v3/pipeline", body: `[]`}, {path: "/v3/pipeline", body: ``}, {path: "/v3/pipeline", body: `{"requests":[{"type":"nope"}]}`},
		{path: "/v3/pipeline", body: `{"requests":[{"type":"execute"}]}`}, {path: "/v3/pipeline", body: `{"requests":[{"type":"execute","stmt":{}}]}`}, {path: "/v3/pipeline", body: `{"requests":[{"type":"execute","stmt":{"sql":"select 1","sql_id":1}}]}`},
		{path: "/v3/pipeline", body: `{"requests":[{"type":"execute","stmt":{"sql":"select ?","args":[{"type":"nope"}]}}]}`},
		{path: "/v3/cursor", body: `{`}, {path: "/v3/cursor", body: `{}`}, {path: "/v3-protobuf/pipeline", body: "\xff\xff"}, {path: "/v3-protobuf/cursor", body: "\xff\xff"},
		{path: "/v3/nope", body: ``}, {path: "/v4/pipeline", body: `{"requests":[]}`}, {path: "/v3/pipeline/", body: `{"requests":[]}`}, {path: "/v2/cursor", body: `{"batch":{"steps":[]}}`}, {path: "/health", body: ``}, {path: "/v3", body: ``},
		pipeline(`{"type":"get_autocommit"}`).to("/v2/pipeline"), pipeline(batch(stepOf(`select 1`, `{"type":"is_autocommit"}`))).to("/v2/pipeline"),
	}},
}

func storeMany(n int) (requests []string) {
	for i := range n {
		requests = append(requests, `{"type":"store_sql","sql_id":`+itoa(i)+`,"sql":"select 1"}`)
	}
	return requests
}
