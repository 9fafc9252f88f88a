-- Each batch looks for its member's row through the versions that renewals left behind. They are cleared away when a page
-- is fuller than its fill factor: so a tenth, a few versions, and no longer half, which was forty.
ALTER TABLE member SET (fillfactor = 10);
