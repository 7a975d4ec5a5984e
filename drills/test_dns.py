"""The cluster's DNS fails: which calls need it, which do not, and whether its loss opens a door."""

from drills.kit import Experiment, Mesh, Role, checks, claim, drill, faults, lab, suites

BACK_S = 60  # a name that could not be looked up is cached for up to 30 s
AWAY_S = 40
DOWN = "dns-down"


@drill(requires=[Role.DNS])
def test_dns_outage(mesh: Mesh) -> Experiment:
    """Without cluster DNS open connections keep working or an alert fires, and nothing unauthorised gets in.

    A call that opens a connection may fail: its caller looks up a name. Once DNS is back, all calls work again and new
    pods join the mesh within a minute.
    """
    open_, new = (checks.success_rate(*lab.ROUTES, connection=kind, at_least=0.999) for kind in (lab.REUSED, lab.NEW))
    return Experiment(
        method=faults.make_unavailable(Role.DNS, hold_s=AWAY_S),
        claims={
            **suites.security(without={"handshakes-made": "without DNS a caller cannot open a connection"}),
            # Without DNS a denied call finds no address, and so asks nothing: the calls before and after decide.
            "denied-stay-denied": claim.always(
                checks.denied(*lab.DENIED, max_unasked_s=AWAY_S + 35), "run", must_hold=True
            ),
            "new-pods-tried": claim.reached(checks.new_pod_tried()),
            # A connection that ends meanwhile, for whatever reason, needs DNS to be opened again.
            **suites.intact(),
            "open-connections-keep-working": claim.always(open_, alert=DOWN, within_s=20),
            "new-connections-keep-working": claim.always(new, alert=DOWN, within_s=20),
            "new-pods-join": claim.always(suites.joins(), alert=(DOWN, "injection-refused"), within_s=20),
            "dns-down-alerts": claim.sometimes(checks.signal_seen(DOWN)),
            **suites.recovers(within_s=BACK_S, outage_s=BACK_S, new_pods="anywhere"),
        },
    )
