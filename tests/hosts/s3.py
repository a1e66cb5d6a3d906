# SPDX-License-Identifier: Apache-2.0
"""S3 on this machine, under the name that AWS's has: moto's, which checks signatures and rights."""

import json
import ssl

from servers.aws import READ, REGION
from servers.http import Answer, Http

NAME = f"s3.{REGION}.amazonaws.com"


class S3:
    """A bucket with one object, which anybody with the right to it may get; also: what else is there, by path, under other names too."""

    def __init__(self, aws, directory, authority, listener, bucket, key, body, names=()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(NAME, names=[NAME, *names]).write(directory, "s3"))
        self.also = {}
        self._aws, self._bucket, self._key = aws, bucket, key
        self._http = Http(self._answer, context=context, listener=listener)
        self._client = aws.client("s3")
        self._client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._client.put_object(Bucket=bucket, Key=key, Body=body)

    def _answer(self, request):
        if request.path in self.also:
            return Answer(200, self.also[request.path])
        return self._aws._ask_moto(request)

    def stop(self):
        self._http.stop()
        self._client.delete_object(Bucket=self._bucket, Key=self._key)
        self._client.delete_bucket(Bucket=self._bucket)


class Role:
    """A role of hosts; its credentials, as metadata gives them. Without a policy it may read secrets and that object."""

    def __init__(self, aws, name, policy=None, resource="*"):
        self._iam, self._name = aws.client("iam"), name
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        own = [
            {"Effect": "Allow", "Action": READ, "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource},
        ]
        made = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document([trust]))
        self._iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy or _document(own))
        self.session = aws.session(made["Role"]["Arn"])

    def stop(self):
        self._iam.delete_role_policy(RoleName=self._name, PolicyName="own")
        self._iam.delete_role(RoleName=self._name)


def _document(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
