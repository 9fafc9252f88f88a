-- Make commits of this session wait for the disk, where the server's default is not to.
SET synchronous_commit = 'on'
