"""The remediator's part of `sites.yml`, from its keys to the policy that a decision reads."""
