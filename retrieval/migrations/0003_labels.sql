-- The day a document is of, what says so (document, file or added), and the tags it states itself.
ALTER TABLE document ADD COLUMN date TEXT NOT NULL DEFAULT '';
ALTER TABLE document ADD COLUMN dated TEXT NOT NULL DEFAULT 'added';
ALTER TABLE document ADD COLUMN keywords TEXT NOT NULL DEFAULT '[]';  -- a JSON array
UPDATE document SET date = substr(added_at, 1, 10);
UPDATE document SET digest = CAST(
    substr(digest, 1, 32) || seal(date, dated, keywords) || substr(digest, 33) AS BLOB)
    WHERE digest NOT NULL;

-- What an operator has put on a file; each revision of it has that.
CREATE TABLE label (
    file     TEXT PRIMARY KEY,  -- the source of its documents
    tags     TEXT NOT NULL,     -- a JSON array
    untagged TEXT NOT NULL,     -- a JSON array: tags that do not count even if the file states them
    "group"  TEXT NOT NULL,     -- empty for none
    seal     BLOB NOT NULL      -- of the row itself
) WITHOUT ROWID;
