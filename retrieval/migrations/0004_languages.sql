-- What the index of words is given: the text, or its words where FTS5 would not find them.
CREATE VIEW passage_indexed AS
    SELECT id, indexed(title) AS title, indexed(heading) AS heading, indexed(text) AS text
    FROM passage_words;

DROP TABLE passage_terms;
DROP TABLE passage_index;
CREATE VIRTUAL TABLE passage_index USING fts5 (
    title, heading, text,
    content = 'passage_indexed', content_rowid = 'id',
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
);
CREATE VIRTUAL TABLE passage_terms USING fts5vocab (passage_index, 'row');
CREATE VIRTUAL TABLE passage_places USING fts5vocab (passage_index, 'instance');
INSERT INTO passage_index (passage_index) VALUES ('rebuild');
