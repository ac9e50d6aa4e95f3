from loadtest.load.cluster.messages import decode_answers, encode_answers


def test_baseline_answers_travel():
    baseline = {"stable": {0: "1", 7: "ä"}, "candidate": {7: "0"}}
    assert decode_answers(encode_answers(baseline)) == baseline
    assert decode_answers(encode_answers({})) == {}
    assert decode_answers(b"") == {}
