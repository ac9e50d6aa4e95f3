"""Access logs as text; the excerpts are of public documentation."""

import pytest

from loadtest.data.request_log import read_log
from loadtest.errors import DatasetError

# the documentation of Envoy, of AWS's load balancer, and of nginx's logs in Elastic's examples
ENVOY_TEXT = (
    '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" '
    '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80"'
)
BALANCER = (
    "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 "
    '0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" '
    '"10.0.0.1:80" "200" "-" "-"'
)
NGINX = (
    '93.180.71.3 - - [17/May/2015:08:05:32 +0000] "GET /downloads/product_1 HTTP/1.1" 304 0 "-" '
    '"Debian APT-HTTP/1.3 (0.8.16~exp12ubuntu10.21)"'
)


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (ENVOY_TEXT, 1460751420.310),
        # when the request came, not when it was answered
        (BALANCER, 1530570168.364),
        (NGINX, 1431849932.0),
    ],
)
def test_the_posts_of_a_text_access_log_are_replayed(tmp_path, line, time):
    path = tmp_path / "access.log"
    path.write_text("\n".join([line.replace("GET", "POST"), line.replace("POST", "GET"), ""]))
    log = read_log(path)
    assert log.kind == "an access log"
    assert [(entry.time, entry.rows) for entry in log.entries] == [(time, None)]
    assert log.notes == ("lines left out: 1 (method GET, no prediction)",)


def test_what_scanners_send_to_a_public_server_is_left_out(tmp_path):
    path = tmp_path / "access.log"
    request = '"GET /downloads/product_1 HTTP/1.1"'
    sent = [r'"\x16\x03\x01\x00"', '"-"', '"POST /predict HTTP/1.1"']
    path.write_text("\n".join(NGINX.replace(request, each) for each in sent))
    log = read_log(path)
    assert len(log.entries) == 1
    assert log.notes == ("lines left out: 2 (method -, no prediction)",)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([ENVOY_TEXT, "upstream connect error"], "line 2: is no line of this access log; mend or remove it"),
        (['[{"time": 1}]'], "is a JSON array; write a line per element: jq"),
        (
            ['INFO:     127.0.0.1:37652 - "POST /predict HTTP/1.1" 200 OK'],
            "neither JSON nor of an access log",
        ),
        (["1 d7123dasd913jfd21312dasdhas31 127345969", "POST /post HTTP/1.1"], "is a capture of GoReplay"),
    ],
)
def test_other_text_is_refused_in_one_line(tmp_path, lines, says):
    path = tmp_path / "access.log"
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=says):
        read_log(path)
