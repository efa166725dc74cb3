CREATE TABLE author (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    bio     TEXT,
    born    DATETIME,
    rating  REAL NOT NULL DEFAULT 0,
    retired BOOLEAN NOT NULL DEFAULT 0
);

CREATE TABLE book (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    author_id INTEGER NOT NULL REFERENCES author (id) ON DELETE CASCADE,
    title     TEXT NOT NULL,
    cover     BLOB
);
