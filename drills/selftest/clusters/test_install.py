"""A mesh is installed only when its webhooks refuse what they must refuse."""

from pathlib import Path

import pytest

from clusters import install, meshes
from clusters.runtime import HarnessError
from drills.selftest.doubles.cluster_double import FileCluster

KIND = "ValidatingWebhookConfiguration"
REFUSES = "istiod-default-validator"  # validates every object; the other one needs a revision label
ISTIO = tuple(name for name in meshes.names() if name.startswith("istio"))


def configured(policy: str, bundle: str) -> dict[str, object]:
    """Return a webhook configuration as the API server has it."""
    return {"webhooks": [{"name": "hook", "failurePolicy": policy, "clientConfig": {"caBundle": bundle}}]}


@pytest.mark.parametrize("name", ISTIO)
def test_istio_is_installed_once_the_webhook_that_refuses_fails_closed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chart `base` installs it as Ignore, and istiod changes it; until then an invalid object would be stored."""
    there = {hook.configuration: configured("Fail", "pem") for hook in meshes.load(name).webhooks}
    assert REFUSES in there
    double = FileCluster(tmp_path)
    monkeypatch.setattr(double, "get", lambda _version, _kind, wanted, *_namespace: there.get(wanted))
    install.wait_webhooks(double, meshes.load(name))
    there[REFUSES] = configured("Ignore", "pem")
    with pytest.raises(HarnessError, match=f"{KIND} {REFUSES} with failurePolicy Fail and a CA bundle: not within"):
        install.wait_webhooks(double, meshes.load(name), within_s=0.1)
    there[REFUSES] = configured("Fail", "")
    with pytest.raises(HarnessError, match=REFUSES):
        install.wait_webhooks(double, meshes.load(name), within_s=0.1)
    del there[REFUSES]
    with pytest.raises(HarnessError, match=REFUSES):
        install.wait_webhooks(double, meshes.load(name), within_s=0.1)


@pytest.mark.parametrize("name", ISTIO)
def test_only_the_refusal_of_that_webhook_is_an_alert(name: str) -> None:
    """The name of the other webhook ends in the same words."""
    alert = meshes.load(name).signals["policy-refused"].subject
    refusal = 'Internal error occurred: failed calling webhook "{}": failed to call webhook: connection refused'
    assert alert in refusal.format("validation.istio.io")
    assert alert not in refusal.format("rev.validation.istio.io")
