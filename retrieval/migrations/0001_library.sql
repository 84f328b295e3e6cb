CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A generation is what one ingest published; readers hold one for a whole question.
CREATE TABLE generation (
    number       INTEGER PRIMARY KEY,
    published_at TEXT NOT NULL
);

-- One row a revision: the same file with other content is another row.
CREATE TABLE document (
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
    added_in     INTEGER NOT NULL REFERENCES generation (number),
    withdrawn_in INTEGER REFERENCES generation (number)
);
CREATE INDEX document_source ON document (source, withdrawn_in);

CREATE TABLE document_text (
    document_id TEXT PRIMARY KEY REFERENCES document (id),
    text        TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE passage (
    id          INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL REFERENCES document (id),
    page        INTEGER,
    heading     TEXT NOT NULL,  -- a JSON array, outermost first
    start       INTEGER NOT NULL,
    stop        INTEGER NOT NULL,
    text        TEXT NOT NULL,
    sentences   TEXT NOT NULL   -- a JSON array of [start, stop]
);
CREATE INDEX passage_document ON passage (document_id);

CREATE VIEW passage_words AS
    SELECT passage.id, document.title, passage.heading, passage.text
    FROM passage JOIN document ON document.id = passage.document_id;

CREATE VIRTUAL TABLE passage_index USING fts5 (
    title, heading, text,
    content = 'passage_words', content_rowid = 'id',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE passage_terms USING fts5vocab (passage_index, 'row');

-- Immutable FAISS files; the SHA-256 is checked when one is loaded.
CREATE TABLE segment (
    name     TEXT PRIMARY KEY,
    sha256   TEXT NOT NULL,
    passages INTEGER NOT NULL,
    added_in INTEGER NOT NULL REFERENCES generation (number)
) WITHOUT ROWID;
