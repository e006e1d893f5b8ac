"""Makes grafana/dashboards/*.json. Run `python -m grafana.build` after a change here."""

import warnings

# The SDK recommends its newer dashboard schema when these modules are imported. Files provisioned
# into Grafana 12 are read in the classic one, so we stay with it and take the advice as read.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import grafana_foundation_sdk.builders.bargauge
    import grafana_foundation_sdk.builders.dashboard  # noqa: F401
