-- Have the counts to oneself until the transaction ends; they can still be read.
LOCK TABLE saga_count IN SHARE ROW EXCLUSIVE MODE
