-- Why a row of the inbox was left to a person; nothing when it was not, or is not there.
SELECT parked FROM inbox WHERE number = $1
