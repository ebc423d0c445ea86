"""Bearer tokens for Django REST framework: the same rows and lifetimes as casework's sessions."""

from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from bench.twins.drf.models import Session
from bench.twins.signing_in import TOUCH_EVERY, is_over, row_of_token


def find_session(header: str) -> Session:
    row, now = row_of_token(header), timezone.now()
    found = (
        Session.objects.select_related("member", "account").filter(pk=row).first()
        if row is not None
        else None
    )
    if found is None or is_over(found.seen_at, found.expires_at, now):
        raise AuthenticationFailed
    if now >= found.seen_at + TOUCH_EVERY:
        Session.objects.filter(pk=row).update(seen_at=now)
    return found


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[Any, Session]:
        found = find_session(request.headers.get("authorization", ""))
        if found.member is None or not (found.member.active and found.account.active):
            raise AuthenticationFailed
        return found.member, found

    def authenticate_header(self, request: Any) -> str:
        del request
        return "Bearer"
