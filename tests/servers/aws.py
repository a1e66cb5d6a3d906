# SPDX-License-Identifier: Apache-2.0
"""
AWS on this machine: moto, with every signature and policy checked. In front of it stands a TLS server that
plays the faults a test asks for, and gives moto's refusals (XML, 403 or 404) the form of AWS's own (JSON, 400).
"""

import http.client
import json
import re
import ssl
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config

from .http import Answer, Http, json_answer
from .pki import Authority
from .process import Process
from .signer import disagreement

REGION = "eu-central-1"
OTHER_REGIONS = ("eu-west-1", "us-west-2")
READ = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
SETUP_ACTIONS = "1000"
AMZ_JSON = "application/x-amz-json-1.1"
SIGNATURE_DATE = "%Y%m%dT%H%M%SZ"
MOST_SKEW = timedelta(minutes=5)
WIRE_CODES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


def aws_error(status, code, message, request_id="5f0d8b1c-9a53-4d7e-8a0b-7c0d4b7b1f11", **headers):
    """An error in the wire form of AWS JSON 1.1."""
    body = json.dumps({"__type": code, "Message": message}).encode()
    return Answer(status, body, {"Content-Type": AMZ_JSON, "x-amzn-RequestId": request_id, **headers})


class Aws:
    """
    The emulator with its identities: keys (may read secrets), value_only_keys (may not describe them),
    denied_keys (may neither), role_arn (may read; session() gives temporary credentials of it), and operator_keys
    and hop_arn, which may assume roles and do nothing else. A web identity is whoever has web_token. Each request
    uses up the first of faults; failing are answers by the host that is asked, or what gives one, or None, for a
    request. With checks_time, signatures of another time than now are refused. What botocore has against a signature
    goes to disagreements.
    """

    def __init__(self, directory, key_log=None):
        """key_log: a file for its connections' master secrets."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        authority = Authority("Test AWS Root")
        self.ca_bundle = directory / "aws-ca.pem"
        self.ca_bundle.write_text(authority.pem)
        hosts = [
            f"{service}.{region}.amazonaws.com"
            for region in (REGION, *OTHER_REGIONS)
            for service in ("secretsmanager", "sts")
        ]
        names = ["localhost", "aws.test", "127.0.0.1", *hosts]
        cert, key = authority.issue("localhost", names=names).write(directory, "aws")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if key_log:
            context.keylog_filename = str(key_log)

        self.faults = []
        self.failing = {}
        self.checks_time = False
        self.web_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9." + "c2ln" * 40
        self.disagreements = []
        self._secret_keys = {}
        self._moto = Process(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"],
            directory / "moto.log",
            # The first actions make the users; from then on all are checked.
            env={
                "INITIAL_NO_AUTH_ACTION_COUNT": SETUP_ACTIONS,
                "HOME": str(directory),
                "PYTHONUNBUFFERED": "1",
            },
        )
        self.plaintext_port = self._moto.wait_until(self._announced_port)
        if not self.plaintext_port:
            raise RuntimeError(f"moto does not start: {self._moto.output()}")
        self._front = Http(self._answer, context=context)
        self.port = self._front.port
        self.url = f"https://localhost:{self.port}"
        self._make_identities()
        self.secrets = self.client("secretsmanager")

    def _announced_port(self):
        found = re.search(r"Running on http://127\.0\.0\.1:(\d+)", self._moto.output())
        return int(found.group(1)) if found else None

    def client(self, service, keys=None, region=REGION):
        """boto3 straight at moto, as the administrator unless other keys are given."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.plaintext_port}",
            config=Config(retries={"total_max_attempts": 1}),
            **(keys or self.admin_keys),
        )

    def _make_identities(self):
        self.admin_keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "setup"}
        iam = self.client("iam")
        admin = self._user(iam, "admin", ["*"])
        self.keys = self._user(iam, "mtls-agent", READ)
        self.value_only_keys = self._user(iam, "value-only", ["secretsmanager:GetSecretValue"])
        self.denied_keys = self._user(iam, "stranger", ["secretsmanager:ListSecrets"])
        trust = _policy(["sts:AssumeRole"], Principal={"AWS": "*"})
        self.role_arn = iam.create_role(RoleName="mtls-agent", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(
            RoleName="mtls-agent", PolicyName="own", PolicyDocument=_policy(READ, Resource="*")
        )
        self.operator_keys = self._user(iam, "operator", ["sts:AssumeRole"])
        self.hop_arn = iam.create_role(RoleName="hop", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(
            RoleName="hop", PolicyName="own", PolicyDocument=_policy(["sts:AssumeRole"], Resource="*")
        )
        self.admin_keys = admin
        urlopen(
            Request(
                f"http://127.0.0.1:{self.plaintext_port}/moto-api/reset-auth",
                data=b"0",
                headers={"Content-Type": "text/plain"},
            )
        ).close()

    def _user(self, iam, name, actions):
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=_policy(actions, Resource="*"))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._secret_keys[key["AccessKeyId"]] = key["SecretAccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def session(self, role_arn=None, name="instance"):
        """Temporary credentials of the role, as STS gives them."""
        answer = self.client("sts").assume_role(RoleArn=role_arn or self.role_arn, RoleSessionName=name)
        session = answer["Credentials"]
        self._secret_keys[session["AccessKeyId"]] = session["SecretAccessKey"]
        return session

    def put(self, name, value, region=REGION):
        """A new secret of text or bytes; its ARN."""
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        secrets = self.secrets if region == REGION else self.client("secretsmanager", region=region)
        return secrets.create_secret(Name=name, **{kind: value})["ARN"]

    def rotate(self, name, value):
        """A new version of it; the version's id."""
        return self.secrets.put_secret_value(SecretId=name, SecretString=value)["VersionId"]

    def place(self):
        """The variables that lead the agent here."""
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_CA_BUNDLE": str(self.ca_bundle),
        }

    def environment(self, keys=None):
        """The same with keys."""
        keys = keys or self.keys
        return {
            "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
            **self.place(),
        }

    @property
    def asked(self):
        return self._front.asked

    def stop(self):
        self._front.stop()
        self._moto.stop()

    def _answer(self, request):
        if "X-Amz-Target" in request.headers or "Authorization" in request.headers:
            found = disagreement(request, self._secret_keys)
            self.disagreements += [found] if found else []
        if self.faults:
            fault = self.faults.pop(0)
            return fault() if callable(fault) else fault
        failure = self.failing.get(request.headers.get("Host"))
        failure = failure(request) if callable(failure) else failure
        if failure:
            return failure
        skewed = _clock_skew(request.headers.get("X-Amz-Date"))
        if skewed and self.checks_time:
            return aws_error(400, "InvalidSignatureException", skewed)
        if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return _as_aws_says_it(self._ask_moto(request))
        form = dict(parse_qsl(request.body.decode()))
        if form.get("Action") == "AssumeRoleWithWebIdentity":
            return self._assume_with_token(form, request)
        answer = self._ask_moto(request)
        answer.body = re.sub(rb"</?Errors>", b"", answer.body)  # EC2's form
        return answer

    def _assume_with_token(self, form, request):
        """moto wants a signature, where AWS wants none. The answer is JSON, as AWS gives it to who accepts it."""
        if "Authorization" in request.headers or form.get("WebIdentityToken") != self.web_token:
            error = {"Code": "InvalidIdentityToken", "Message": "No OpenIDConnect provider found"}
            return json_answer(400, {"Error": {"Type": "Sender", **error}, "RequestId": "5f0d8b1c"})
        session = self.session(form["RoleArn"], form["RoleSessionName"])
        session["Expiration"] = session["Expiration"].timestamp()
        result = {"AssumeRoleWithWebIdentityResult": {"Credentials": session}}
        return json_answer(200, {"AssumeRoleWithWebIdentityResponse": result})

    def _ask_moto(self, request):
        """Passes a request on as it is: the signature is over its headers."""
        moto = http.client.HTTPConnection("127.0.0.1", self.plaintext_port, timeout=30)
        moto.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            moto.putheader(name, value)
        moto.endheaders(request.body)
        answer = moto.getresponse()
        keep = ("content-type", "x-amzn-requestid", "x-amzn-errortype")
        headers = {name: value for name, value in answer.getheaders() if name.lower() in keep}
        body = answer.read()
        moto.close()
        return Answer(answer.status, body, headers)


def _clock_skew(date):
    """What AWS has against a signature of another time."""
    if not date:
        return None
    then, now = datetime.strptime(date, SIGNATURE_DATE), datetime.now(timezone.utc).replace(tzinfo=None)
    early, late = ((now + sign * MOST_SKEW).strftime(SIGNATURE_DATE) for sign in (-1, 1))
    at = f"{now.strftime(SIGNATURE_DATE)} {{}} 5 min."
    if then < now - MOST_SKEW:
        return f"Signature expired: {date} is now earlier than {early} ({at.format('-')})"
    if then > now + MOST_SKEW:
        return f"Signature not yet current: {date} is still later than {late} ({at.format('+')})"
    return None


def _as_aws_says_it(answer):
    """moto's refusal in the form of AWS JSON 1.1; anything else as it is."""
    xml = re.search(rb"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", answer.body, re.DOTALL)
    if answer.status >= 400 and xml:
        code, message = (part.decode() for part in xml.groups())
        request_id = next(
            value for name, value in answer.headers.items() if name.lower() == "x-amzn-requestid"
        )
        return aws_error(400, WIRE_CODES.get(code, code), message, request_id)
    if answer.status == 404:
        answer.status = 400
    return answer


def _policy(actions, **more):
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, **more}]}
    )
