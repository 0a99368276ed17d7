-- Deeds upon one thing are looked up by it: whether a contest of a token was written down already.
CREATE INDEX audit_of ON audit (noun, id);
