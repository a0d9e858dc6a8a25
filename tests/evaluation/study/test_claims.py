import json

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.study.claims import Claim, judge, plain_judgement, slides_claims
from spatialfoley.evaluation.study.paired import Change

UP, DOWN, UNSURE = (
    Change(Interval((low + high) / 2, low, high, 60), 3, 3)
    for low, high in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2))
)


def verdict_of(claim: Claim, **changes: Change | None) -> str:
    (found,) = judge([claim], {claim.step: changes})
    return found.verdict


def test_a_claim_holds_only_where_all_its_figures_agree() -> None:
    claim = Claim("both rise", ("a", "b"), ("x", "y"), "above")
    assert verdict_of(claim, x=UP, y=UP) == "holds"
    assert verdict_of(claim, x=UP, y=UNSURE) == "cannot be told"
    assert verdict_of(claim, x=UP, y=DOWN) == "does not hold"
    assert verdict_of(claim, x=UP) == "cannot be told"
    assert verdict_of(claim, x=UP, y=None) == "cannot be told"


def test_steps_that_were_not_measured_are_left_out() -> None:
    assert judge(slides_claims(), {}) == ()
    changes = {("rvq", "single"): {"spatial/correct": DOWN, "times_faster": UP}}
    found = {one.claim.text: one.verdict for one in judge(slides_claims(), changes)}
    assert found["One codebook raises the spatial scores"] == "does not hold"
    # 0.15 times is not 3 times.
    assert found["One codebook is at least 3 times faster"] == "does not hold"
    assert "Post-processing leaves CC" not in found


def test_the_slides_are_read_as_they_stand() -> None:
    claims = {claim.text: claim for claim in slides_claims("reference", "vggish")}
    better = claims["Post-processing lowers Fréchet"]
    assert better.figures == ("fd/vggish/dec", "fd/vggish/channels")
    assert better.wanted == "below"
    left = claims["Post-processing leaves CC"]
    assert left.figures == ("cc/all/reference", "cc/1fps/reference", "cc/5fps/reference")
    # The slides' own changes of that step are within what we call unchanged, and their other rises are not.
    for before, after in ((0.491, 0.488), (0.436, 0.435), (0.368, 0.368)):
        assert abs(after - before) <= left.limit
    assert left.limit < 0.5 * min(0.535 - 0.488, 0.474 - 0.435, 0.402 - 0.368)


def test_a_judgement_goes_into_json() -> None:
    claim = Claim("it falls", ("a", "b"), ("x",), "below", slides="5 to 4")
    (found,) = judge([claim], {("a", "b"): {"x": DOWN}})
    document = json.loads(json.dumps(plain_judgement(found)))
    assert (document["verdict"], document["verdicts"]) == ("holds", {"x": "holds"})
    assert (document["step"], document["slides"]) == (["a", "b"], "5 to 4")
