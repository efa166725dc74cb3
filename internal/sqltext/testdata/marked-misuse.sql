SELECT 1 / body IS NULL FROM docs
SELECT '{"pear":1}' ->> body IS NULL FROM docs
SELECT 5 % body ISNULL FROM docs
SELECT x || body IS NULL FROM docs, other
SELECT upper('docs'.'body') FROM docs
SELECT id FROM docs WHERE 'docs'.'body' = 'pear'
SELECT id FROM 'docs' WHERE body = 'pear'
SELECT id FROM 'docs' d WHERE d.'body' = 'pear'
SELECT upper(x.body) FROM (docs) AS x
SELECT upper(x.body) FROM (docs JOIN notes ON notes.doc = docs.id) x
SELECT upper(body) FROM (docs JOIN notes ON notes.doc = docs.id) AS x
SELECT id, body FROM docs ORDER BY (2)
SELECT id, body FROM docs ORDER BY +2
SELECT id, body FROM docs ORDER BY 2 COLLATE nocase
SELECT id, body FROM docs ORDER BY 0x2
SELECT id, body FROM docs ORDER BY likely(2)
SELECT body, count(*) FROM docs GROUP BY (1)
SELECT count(*), body FROM docs GROUP BY +2
SELECT id, body FROM docs UNION ALL SELECT 1, x FROM other ORDER BY 2
SELECT y, x FROM other UNION ALL SELECT id, body FROM docs ORDER BY x
SELECT y, x FROM other UNION ALL SELECT id, body FROM docs ORDER BY 2
SELECT y, x AS q FROM other UNION ALL SELECT id, body FROM docs ORDER BY q
SELECT upper("body:1") FROM (SELECT title AS body, body FROM docs)
SELECT "body:1" FROM (SELECT title AS body, body FROM docs) WHERE "body:1" > 'b'
SELECT upper("body:1") FROM (SELECT * FROM posts JOIN docs ON posts.doc = docs.id)
SELECT upper(y) FROM (SELECT * FROM other UNION ALL SELECT id, body FROM docs)
WITH docs AS (SELECT 'q' AS body) SELECT upper(body) FROM main.docs
SELECT upper(a.body) FROM other a, docs a
SELECT a.body FROM other a, docs a WHERE a.body > 'b'
SELECT x FROM other WHERE x IN (SELECT b FROM v)
INSERT INTO docs (id, body) VALUES (100, ?) RETURNING length(body)
UPDATE docs SET title = 'docs'.'body'
UPDATE docs SET title = (body)
UPDATE docs SET title = coalesce(NULL, body)
UPDATE docs SET title = CASE WHEN 1 THEN body END
UPDATE other SET y = body FROM docs WHERE docs.id = 1
UPDATE other SET (x, y) = (SELECT id, body FROM docs WHERE id = 1)
UPDATE other SET x = (SELECT b FROM v WHERE id = 1)
INSERT INTO other SELECT id, b FROM v
INSERT INTO other SELECT * FROM v
INSERT INTO other SELECT * FROM (SELECT * FROM v)
WITH c AS (SELECT id, b FROM v) INSERT INTO other SELECT * FROM c
WITH c(p, q) AS (SELECT * FROM v) INSERT INTO other SELECT p, q FROM c
INSERT INTO other (x) VALUES ((SELECT body FROM docs WHERE id = 1))
INSERT INTO other (x) SELECT max(body) FROM docs
INSERT INTO other (x, y) SELECT y, x FROM other UNION ALL SELECT id, body FROM docs
INSERT INTO posts SELECT id + 100, id, body FROM docs
INSERT INTO posts (id, body) SELECT id + 100, body FROM docs WHERE 1 ON CONFLICT DO NOTHING
INSERT INTO posts (id, body) VALUES (1, 'x') ON CONFLICT DO UPDATE SET body = (SELECT body FROM docs LIMIT 1)
DELETE FROM docs WHERE body = 'pear'
DELETE FROM docs WHERE rowid IN (SELECT rowid FROM docs WHERE body > 'b')
DELETE FROM docs WHERE id IN (SELECT id FROM v WHERE b = 'pear')
DELETE FROM docs AS d WHERE d.body = 'pear'
SELECT (SELECT body FROM docs d WHERE d.id = n.doc) AS z FROM notes n ORDER BY z
SELECT (SELECT body FROM docs d WHERE d.id = n.doc) AS z FROM notes n ORDER BY 1
SELECT z FROM (SELECT (SELECT body FROM docs d WHERE d.id = n.doc) AS z FROM notes n) ORDER BY z
SELECT * FROM (SELECT (SELECT body FROM docs d WHERE d.id = n.doc) AS z FROM notes n) ORDER BY 1
SELECT EXISTS (SELECT body FROM docs EXCEPT SELECT x FROM other)
SELECT EXISTS (SELECT 1 FROM docs ORDER BY body)
SELECT title AS body, body AS title FROM docs ORDER BY title
SELECT title AS body, body AS title FROM docs WHERE title > 't2'
SELECT id FROM docs GROUP BY title HAVING max(body) > 'a'
SELECT json_group_array(body) FROM docs
SELECT docs.*, body AS z FROM docs ORDER BY z
SELECT * FROM docs ORDER BY (3)
SELECT * FROM docs ORDER BY main.docs.body
SELECT * FROM docs ORDER BY "BODY"
SELECT * FROM docs WHERE [Body] = 'pear'
SELECT * FROM docs WHERE `body` = 'pear'
SELECT * FROM docs WHERE main . docs . /* x */ body = 'pear'
SELECT id FROM docs WHERE (SELECT body) = 'pear'
SELECT id FROM docs d WHERE EXISTS (SELECT 1 WHERE d.body = 'pear')
SELECT count(*) FROM docs WHERE body
SELECT count(*) FROM docs WHERE NOT body
SELECT count(*) FROM docs WHERE body IS TRUE
SELECT count(*) FROM docs WHERE body IS NOT FALSE
SELECT count(*) FROM docs WHERE body NOT LIKE 'p%'
SELECT count(*) FROM docs WHERE body NOT IN (SELECT x FROM other)
SELECT count(*) FROM docs WHERE body IS (NULL)
SELECT count(*) FROM docs WHERE NULL IS body
SELECT count(body = 'pear') FROM docs
SELECT count(body) FILTER (WHERE body > 'b') FROM docs
SELECT count(DISTINCT body), count(ALL) FROM docs
SELECT count(DISTINCT body) FROM docs
SELECT total(body) FROM docs
SELECT typeof(body) FROM docs
SELECT quote(body) FROM docs
SELECT first_value(body) OVER (ORDER BY id) FROM docs
SELECT id, row_number() OVER (ORDER BY body) FROM docs
SELECT id, rank() OVER w FROM docs WINDOW w AS (PARTITION BY title ORDER BY body)
SELECT nullif(body, 'pear') FROM docs
SELECT DISTINCT id, (SELECT body FROM docs d WHERE d.id = docs.id) FROM docs
SELECT * FROM docs JOIN posts USING (body)
SELECT * FROM docs NATURAL JOIN posts
SELECT * FROM posts NATURAL JOIN docs
SELECT d.body FROM docs d JOIN posts p ON p.body = d.body || 'p'
SELECT d.body FROM posts p LEFT JOIN docs d ON p.doc = d.id AND d.body > 'b'
SELECT * FROM (VALUES ((SELECT body FROM docs LIMIT 1))) ORDER BY column1
SELECT column1 FROM (VALUES (1), ((SELECT body FROM docs LIMIT 1))) WHERE column1 > 'a'
VALUES ((SELECT body FROM docs LIMIT 1))
WITH RECURSIVE r(i, b) AS (SELECT 1, 'x' UNION ALL SELECT d.id, d.body FROM r JOIN docs d ON d.id = r.i + 1) SELECT b FROM r WHERE b > 'm'
WITH RECURSIVE r(i, b) AS (SELECT 1, 'x' UNION ALL SELECT d.id, d.body FROM r JOIN docs d ON d.id = r.i + 1 ORDER BY 2) SELECT i FROM r
SELECT t.value FROM docs, json_each(docs.body) AS t WHERE docs.id = 5
SELECT value FROM json_each((SELECT body FROM docs WHERE id = 5))
SELECT id FROM docs WHERE id = (SELECT id FROM docs ORDER BY body LIMIT 1)
SELECT id FROM docs LIMIT (SELECT count(*) FROM docs WHERE body > 'b')
SELECT id FROM docs WHERE (body, id) > ('b', 1)
SELECT id FROM docs WHERE (SELECT body, id) = ('pear', 1)
SELECT id FROM docs WHERE body BETWEEN 'a' AND 'm'
SELECT id FROM docs WHERE 'b' BETWEEN body AND 'm'
SELECT id FROM docs WHERE id BETWEEN 1 AND body
SELECT body COLLATE binary FROM docs
SELECT body COLLATE nocase AS b FROM docs ORDER BY b
SELECT +body FROM docs
SELECT body "b c" FROM docs ORDER BY "b c"
SELECT body b FROM docs ORDER BY b
SELECT "docs"."body" AS [b] FROM docs ORDER BY [b]
SELECT b.b FROM v AS b ORDER BY b.b
SELECT group_concat(id ORDER BY body) FROM docs
SELECT string_agg(body, ',') FROM docs
SELECT x FROM other ORDER BY (SELECT body FROM docs WHERE id = y)
SELECT id, title FROM docs ORDER BY CASE WHEN id > 2 THEN body END
SELECT upper("(SELECT body FROM docs LIMIT 1)") FROM (SELECT (SELECT body FROM docs LIMIT 1) FROM other)
SELECT body FROM docs NOT INDEXED WHERE body = 'pear'
SELECT b FROM (SELECT body b FROM docs LIMIT 3) WHERE b > 'q'
SELECT a.b, c.b FROM v a JOIN v c ON a.b = c.b
SELECT a.b, c.b FROM v a JOIN v c USING (b)
SELECT a.b, c.b FROM v a, v c WHERE a.b = c.b AND a.id < c.id
SELECT body FROM docs WHERE id IN (1, 2) UNION ALL SELECT b FROM v ORDER BY body
SELECT s FROM (SELECT title AS s FROM docs UNION ALL SELECT body FROM docs UNION ALL SELECT x FROM other) WHERE s > 'b'
INSERT INTO docs (id, title) SELECT id + 50, body FROM docs
INSERT INTO docs (id, body) SELECT id + 50, ? FROM docs ORDER BY body LIMIT 2
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body || 'x'
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET title = excluded.body
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body WHERE excluded.body > docs.body
INSERT INTO docs AS d (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET title = d.body
UPDATE docs SET body = ?, title = body WHERE id = 1
UPDATE docs SET raw = body || '' WHERE id = 1
UPDATE docs SET body = n.text FROM notes n WHERE n.text > docs.body
UPDATE docs SET body = upper(n.text) FROM notes n WHERE n.id = docs.id
UPDATE docs SET body = ? WHERE id = 1 RETURNING body = 'mango'
SELECT id = body IS NULL FROM docs
SELECT 'pear' = body IS NULL FROM docs
SELECT 'pear' = body IS NOT NULL FROM docs
SELECT CASE body WHEN 'pear' THEN 1 END FROM docs
SELECT id FROM docs WHERE ? = body
SELECT id FROM docs WHERE ?1 IS NULL OR body = ?1
SELECT id FROM docs WHERE instr(body, 'e')
SELECT id FROM docs WHERE body GLOB 'p*'
SELECT * FROM docs d, (SELECT d2.body AS dd FROM docs d2) WHERE dd = d.body
SELECT x FROM other WHERE x IN (WITH c AS (SELECT body FROM docs) SELECT body FROM c)
SELECT x FROM other WHERE x IN (VALUES ('a'), ((SELECT body FROM docs WHERE id = 1)))
SELECT x = ANY_VALUE FROM (SELECT x, body AS ANY_VALUE FROM other, docs)
SELECT id FROM docs ORDER BY id, 1, (SELECT body)
SELECT id AS body FROM docs ORDER BY body
SELECT id body FROM docs ORDER BY docs.body
SELECT id AS body FROM docs WHERE body > 'b'
SELECT * FROM docs, notes WHERE doc = docs.id AND text > body
SELECT max(text) OVER () FROM notes
SELECT printf('%s', text) FROM notes
SELECT text LIKE '%p%' FROM notes
SELECT body FROM (SELECT body FROM (SELECT body FROM (SELECT body FROM docs))) ORDER BY 1
SELECT body FROM docs WHERE id = 1 AND body IN (SELECT body FROM posts)
SELECT (docs.body) FROM docs ORDER BY docs.body
SELECT ((body)) AS z FROM docs ORDER BY ((z))
SELECT lower(z) FROM (SELECT ((body)) AS z FROM docs)
SELECT lower(body) FROM (SELECT (body) FROM docs)
WITH a AS (SELECT body AS q FROM docs), b AS (SELECT q AS w FROM a), c AS (SELECT * FROM b) SELECT w FROM c WHERE w > 'b'
WITH a AS MATERIALIZED (SELECT body AS q FROM docs) SELECT upper(q) FROM a
WITH RECURSIVE a(q) AS NOT MATERIALIZED (SELECT body FROM docs) SELECT upper(q) FROM a
SELECT upper(docs) FROM (SELECT body AS docs FROM docs)
SELECT docs FROM (SELECT body AS docs FROM docs) docs ORDER BY docs.docs
SELECT * FROM docs AS o WHERE o.id = (SELECT count(*) FROM docs i WHERE i.body <= o.body)
SELECT CASE WHEN body > 'b' THEN 1 END FROM docs
SELECT CASE WHEN id > 2 THEN CASE body WHEN 'old' THEN 'x' END END FROM docs
SELECT CASE WHEN id > 2 THEN body END || 'x' FROM docs
SELECT coalesce(body, 'x') || 'x' FROM docs
SELECT coalesce(body, 'x') AS q FROM docs ORDER BY q
SELECT upper(q) FROM (SELECT coalesce(title, body) AS q FROM docs)
SELECT coalesce(NULL, (SELECT body FROM docs WHERE id = 4), upper(body)) FROM docs
SELECT iif(body > 'c', 1, 2) FROM docs
UPDATE docs SET title = CASE WHEN id = 1 THEN body ELSE ? END
SELECT CASE WHEN 1 THEN body END end FROM docs
SELECT CASE WHEN 1 THEN body END, id FROM docs ORDER BY 1
SELECT count(coalesce(body, 1)) FROM docs
SELECT coalesce(body, 'x') = 'pear' FROM docs
SELECT coalesce(body, 'x') IS NULL FROM docs
