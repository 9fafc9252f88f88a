-- Up to where a topic has the log.
SELECT sequence FROM relay WHERE topic = $1
