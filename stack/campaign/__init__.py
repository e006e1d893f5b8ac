"""The campaign: the real remediator in a lab that breaks, lies and kills, and a ledger of what was done."""
