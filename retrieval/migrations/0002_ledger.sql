-- A document is stored first and answered from later, from one generation to another, and
-- maybe again: an interval a row. A document without one is staged, or left over.
CREATE TABLE presence (
    document_id  TEXT NOT NULL REFERENCES document (id),
    added_in     INTEGER NOT NULL REFERENCES generation (number),
    withdrawn_in INTEGER REFERENCES generation (number),
    PRIMARY KEY (document_id, added_in)
) WITHOUT ROWID;
INSERT INTO presence SELECT id, added_in, withdrawn_in FROM document;

-- `cause` is what published it; `restores` is the generation that a rollback went back to;
-- `digest` is of what came and went with it. Digests are NULL from before there were any.
ALTER TABLE generation ADD COLUMN cause TEXT NOT NULL DEFAULT 'ingest';
ALTER TABLE generation ADD COLUMN restores INTEGER;
ALTER TABLE generation ADD COLUMN digest BLOB;

DROP VIEW passage_words;
CREATE TABLE document_2 (
    id           TEXT PRIMARY KEY,
    source       TEXT NOT NULL,
    path         TEXT NOT NULL,
    title        TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    media_type   TEXT NOT NULL,
    size_bytes   INTEGER NOT NULL,
    characters   INTEGER NOT NULL,
    page_starts  TEXT NOT NULL,
    reader       TEXT NOT NULL,
    added_at     TEXT NOT NULL,
    digest       BLOB           -- of all that is stored of it
);
INSERT INTO document_2 SELECT id, source, path, title, sha256, media_type, size_bytes, characters,
    page_starts, reader, added_at, NULL FROM document;
DROP TABLE document;
ALTER TABLE document_2 RENAME TO document;
CREATE INDEX document_source ON document (source);
CREATE INDEX document_sha256 ON document (sha256);
CREATE VIEW passage_words AS
    SELECT passage.id, document.title, passage.heading, passage.text
    FROM passage JOIN document ON document.id = passage.document_id;

-- The hash of what is embedded for a passage: equal keys have equal vectors.
ALTER TABLE passage ADD COLUMN key BLOB;
UPDATE passage SET key = (
    SELECT passage_key(document.title, passage.heading, passage.text)
    FROM document WHERE document.id = passage.document_id);
CREATE INDEX passage_key ON passage (key);

-- A segment without `added_in` is staged. It holds the passages `first` to `last`; the ranges
-- of two segments never overlap.
CREATE TABLE segment_2 (
    name     TEXT PRIMARY KEY,
    sha256   TEXT NOT NULL,
    passages INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    added_in INTEGER REFERENCES generation (number)
) WITHOUT ROWID;
INSERT INTO segment_2 SELECT name, sha256, passages, CAST(substr(name, 1, 10) AS INTEGER),
    CAST(substr(name, 1, 10) AS INTEGER) + passages - 1, added_in FROM segment;
DROP TABLE segment;
ALTER TABLE segment_2 RENAME TO segment;

-- What was made of a document's file.
CREATE TABLE reading (
    document_id TEXT PRIMARY KEY REFERENCES document (id),
    seconds     REAL NOT NULL,
    tables      INTEGER NOT NULL,
    pages       TEXT NOT NULL,     -- a JSON array of [state, label, tables, characters]
    warnings    TEXT NOT NULL,     -- a JSON array
    unread      TEXT NOT NULL,     -- a JSON array
    uncovered   INTEGER NOT NULL   -- characters of the text, white space apart, in no passage
) WITHOUT ROWID;

-- The ledger: every file ever met, and what became of it the last time.
CREATE TABLE file (
    source      TEXT PRIMARY KEY,
    path        TEXT NOT NULL,
    state       TEXT NOT NULL,     -- read, failed, withdrawn or gone
    reason      TEXT NOT NULL,
    sha256      TEXT NOT NULL,     -- empty when it could not be opened
    reader      TEXT NOT NULL,     -- empty when it could not be read
    stamp       TEXT NOT NULL,     -- size and times on disk; empty when they prove nothing
    document_id TEXT,
    run         TEXT NOT NULL,
    met_at      TEXT NOT NULL,
    seal        BLOB NOT NULL      -- of the row itself
) WITHOUT ROWID;

CREATE TABLE run (
    id         TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    state      TEXT NOT NULL,      -- waiting, running, done, failed or cancelled
    paths      TEXT NOT NULL,      -- a JSON array
    progress   TEXT NOT NULL,      -- a JSON object
    generation INTEGER,
    problem    TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
