from loadtest.data.baseline import ScoredAnswer
from loadtest.load.cluster.messages import decode_answers, encode_answers


def test_baseline_answers_travel():
    scored = ScoredAnswer("0", (0.25, 0.75))
    # the values of outputs are in double precision
    several = ScoredAnswer("2.1", (1e6 + 0.1, 0.1))
    baseline = {"stable": {0: "1", 7: "ä", 8: None, 9: several}, "candidate": {7: "0", 9: scored}}
    assert decode_answers(encode_answers(baseline)) == baseline
    assert decode_answers(encode_answers({})) == {}
    assert decode_answers(b"") == {}
