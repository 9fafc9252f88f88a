-- Let commits of this session return before they are on the disk: what a crash takes is made again from the log.
SET synchronous_commit = 'off'
