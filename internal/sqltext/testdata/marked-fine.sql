WITH docs AS (SELECT 'q' AS body) SELECT upper(body) FROM docs
INSERT INTO docs (id, body) SELECT 100, ? AS b WHERE b LIKE 'm%'
INSERT INTO docs (id, body) SELECT * FROM (SELECT 100, ? AS b) WHERE b LIKE 'm%'
INSERT INTO docs (body) SELECT ? UNION SELECT ? UNION SELECT 'b'
INSERT INTO docs (body) SELECT ? UNION ALL SELECT ? ORDER BY 1 LIMIT 1
INSERT INTO docs (body) SELECT ? UNION ALL SELECT 'banana' ORDER BY 1 LIMIT 1
INSERT INTO docs (id, body) SELECT 100, ? AS b UNION ALL SELECT 101, 'nn' ORDER BY b LIMIT 1
INSERT INTO docs (body) SELECT ? INTERSECT SELECT 'mango'
INSERT INTO docs (body) SELECT ? EXCEPT SELECT 'mango'
INSERT INTO docs (body) SELECT ? EXCEPT SELECT x FROM other
INSERT INTO docs (id, body) VALUES (100, ?) UNION VALUES (100, 'mango')
INSERT INTO docs (id, body) SELECT 100, ? AS q GROUP BY q HAVING q > 'a'
INSERT INTO docs (id, body) VALUES (100, ?) RETURNING *, body IS NULL
INSERT INTO docs ('id', 'body') VALUES (100, ?)
UPDATE docs SET 'body' = ? WHERE id = 1
UPDATE 'docs' SET body = ? WHERE id = 1
SELECT count(*) FROM docs WHERE body NOT NULL
SELECT coalesce(body, 'none') FROM docs
SELECT ifnull(body, 'none') FROM docs
SELECT CASE id WHEN 1 THEN body ELSE 'x' END FROM docs
SELECT iif(id > 1, body, NULL) FROM docs
SELECT DISTINCT d.id FROM docs d JOIN notes USING (id)
WITH RECURSIVE r(i, b) AS (SELECT 1, body FROM docs WHERE id = 1 UNION ALL SELECT i + 1, b FROM r WHERE i < 3) SELECT b FROM r
SELECT body 'b c' FROM docs ORDER BY 'b c'
SELECT max(id), body FROM docs
SELECT min(title), body FROM docs GROUP BY id % 2
SELECT body FROM docs UNION ALL SELECT b FROM v LIMIT 3
REPLACE INTO docs (id, body) VALUES (1, ?)
REPLACE INTO docs SELECT id, title, ?, raw FROM docs WHERE id = 2
INSERT INTO docs (id, body) SELECT id + 50, title FROM docs
INSERT INTO docs (id, body) SELECT id + 50, ?1 FROM docs WHERE title > ?1
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET (title, body) = (?, ?)
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET (title, body) = (SELECT 'x', ?)
INSERT INTO docs (id, body) SELECT x.doc, ? FROM notes AS x WHERE true ON CONFLICT (id) DO UPDATE SET body = ?
UPDATE docs SET body = (SELECT text FROM notes WHERE notes.id = docs.id)
UPDATE docs SET body = n.text FROM notes n WHERE n.id = docs.id
UPDATE docs SET body = CASE WHEN id = 1 THEN ? ELSE body END
UPDATE docs SET body = coalesce(?, body) WHERE id = 1
UPDATE docs SET body = iif(id > 2, body, ?)
SELECT body NOTNULL FROM docs
SELECT body ISNULL AND id FROM docs
SELECT NOT body IS NULL FROM docs
SELECT 'pear' IN (body IS NULL) FROM docs
SELECT CASE body IS NULL WHEN 1 THEN 2 ELSE 3 END FROM docs
SELECT id FROM docs ORDER BY body IS NULL, id
SELECT body IS NULL, count(*) FROM docs GROUP BY body IS NULL
SELECT DISTINCT body IS NULL FROM docs
SELECT (SELECT d.body UNION ALL SELECT 'x' LIMIT 1) FROM docs d
SELECT body FROM docs d GROUP BY d.id ORDER BY count(*), max(d.id)
SELECT CASE WHEN id > 2 THEN body WHEN 1 THEN CASE WHEN id = 1 THEN 'z' ELSE body END ELSE body END AS q FROM docs
SELECT coalesce(body, raw, title) FROM docs ORDER BY id
SELECT iif(body IS NULL, 'none', body), ifnull(raw, 1) FROM docs
UPDATE docs SET body = coalesce(?, body) WHERE id IN (1, 2)
UPDATE docs SET body = coalesce(body, ?) WHERE id IN (1, 6)
UPDATE docs SET raw = CASE WHEN id = 1 THEN body ELSE ? END
INSERT INTO docs (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = coalesce(excluded.body, docs.body)
SELECT coalesce((body), title COLLATE nocase) FROM docs
SELECT id FROM docs ORDER BY id COLLATE nocase, title
SELECT id, body AS b FROM docs UNION ALL SELECT id, text FROM notes ORDER BY id, 1 DESC
SELECT id, title FROM docs UNION ALL SELECT id, text FROM notes ORDER BY id COLLATE nocase DESC
SELECT id FROM docs UNION SELECT id FROM notes ORDER BY id
