-- name: CreateAuthor :one
INSERT INTO author (name, bio, born, rating, retired) VALUES (?, ?, ?, ?, ?) RETURNING *;

-- name: GetAuthor :one
SELECT * FROM author WHERE id = ? LIMIT 1;

-- name: ListAuthors :many
SELECT * FROM author ORDER BY name;

-- name: ListAuthorsByIDs :many
SELECT * FROM author WHERE retired = sqlc.arg('retired') AND id IN (sqlc.slice('ids')) ORDER BY id;

-- name: UpdateAuthor :exec
UPDATE author
SET bio = coalesce(sqlc.narg('bio'), bio), rating = sqlc.arg('rating')
WHERE id = sqlc.arg('id');

-- name: UpsertAuthor :execrows
INSERT INTO author (name, rating) VALUES (@name, @rating)
ON CONFLICT (name) DO UPDATE SET rating = excluded.rating;

-- name: RetireAuthors :execresult
UPDATE author SET retired = 1 WHERE rating < ?;

-- name: DeleteAuthor :execrows
DELETE FROM author WHERE id = ?;

-- name: AddBook :execlastid
INSERT INTO book (author_id, title, cover) VALUES (?, ?, ?);

-- name: BooksWithAuthors :many
SELECT sqlc.embed(book), sqlc.embed(author)
FROM book JOIN author ON author.id = book.author_id
WHERE book.title LIKE ?
ORDER BY book.id;

-- name: CountBooks :many
SELECT author.name, count(book.id) AS books, avg(length(book.title)) AS title_length
FROM author LEFT JOIN book ON book.author_id = author.id
GROUP BY author.id
ORDER BY author.name;
