-- A write that changes nothing: a file that can only be read refuses it. (BEGIN IMMEDIATE does not.)
UPDATE migration SET name = name WHERE number = 0
