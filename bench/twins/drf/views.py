"""The pages: `APIView`s over the ORM, relations prefetched, writes in `atomic`."""

from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import Http404
from django.urls import path
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.twins.drf.models import (
    Account,
    Assignment,
    BreakGlass,
    CaseConflict,
    CaseFile,
    CaseGroup,
    CaseTeam,
    FollowUp,
    FollowUpText,
    Handoff,
    Idempotency,
    Membership,
    Session,
)
from bench.twins.drf.serializers import (
    CaseItemSerializer,
    CaseSerializer,
    Credentials,
    FollowUpSerializer,
    NewFollowUp,
    NewHandoff,
    Search,
    SecondFactor,
)
from bench.twins.drf.sessions import find_session
from bench.twins.names import searchable
from bench.twins.signing_in import ABSOLUTE, accepted_step, new_token, password_is
from casework.follow_ups.types import HEAD_GROUP
from casework.ids import new_id

COUNT_CAP = 1_000
FOUND_LIMIT = 20
PAGE, PAGE_LIMIT = 50, 100
CREATED = 201
HEAD_FIELDS = ("type", "channel", "duration_minutes", "action", "next_step")


def facts(member: Membership) -> dict[str, Exists]:
    """Who is near the case of the enclosing query."""
    case = OuterRef("pk")
    return {
        "mine": Exists(Assignment.objects.filter(case=case, member=member)),
        "my_team": Exists(CaseTeam.objects.filter(case=case, team__members__member=member)),
        "conflict": Exists(CaseConflict.objects.filter(case=case, member=member)),
        "glass": Exists(BreakGlass.objects.filter(case=case, member=member, expires_at__gt=timezone.now())),
    }


def listed(member: Membership) -> "QuerySet[CaseFile]":
    near = facts(member)
    cases = CaseFile.objects.filter(~near["conflict"], org_id=member.org_id)
    if member.role == "reception":
        return cases
    return cases.filter(near["mine"] | (Q(restricted=False) & (near["my_team"] | near["glass"])))


def seen_case(member: Membership, case_id: UUID, cases: Any = CaseFile.objects) -> CaseFile:
    case = cases.filter(org_id=member.org_id, pk=case_id).annotate(**facts(member)).first()
    if case is None or case.conflict:
        raise Http404
    if not (case.mine or case.my_team or case.glass or member.role == "reception"):
        raise Http404
    return case


def limit_of(request: Any) -> int:
    return min(int(request.query_params.get("limit", PAGE)), PAGE_LIMIT)


def validated(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def done_before(request: Any, route: str) -> tuple[Idempotency, UUID | None]:
    """The memory of this request to keep, and what it made before if it was made."""
    use = Idempotency(
        member=request.user,
        route=route,
        key=request.headers.get("idempotency-key", ""),
        body_hash=sha256(request.body).digest(),
        created_at=timezone.now(),
    )
    found = Idempotency.objects.filter(member=use.member, route=use.route, key=use.key).first()
    if found is not None and bytes(found.body_hash) != use.body_hash:
        raise ValidationError("Idempotency-Key: used with another body")
    return use, found.resource_id if found is not None else None


class Cases(APIView):
    def get(self, request: Any) -> Response:
        limit, cases = limit_of(request), listed(request.user)
        count = cases.values("pk")[: COUNT_CAP + 1].count()
        if "cursor" in request.query_params:
            cases = cases.filter(pk__lt=request.query_params["cursor"])
        identity = {"groups__compartment": "identity"}
        page = list(
            cases.filter(**identity).annotate(identity=F("groups__content")).order_by("-pk")[: limit + 1]
        )
        shown = page[:limit]
        return Response(
            {
                "items": CaseItemSerializer(shown, many=True).data,
                "next": str(shown[-1].pk) if len(page) > limit else None,
                "count": min(count, COUNT_CAP),
                "count_is_capped": count > COUNT_CAP,
            }
        )


class Case(APIView):
    def get(self, request: Any, case_id: UUID) -> Response:
        case = seen_case(request.user, case_id, CaseFile.objects.prefetch_related("groups"))
        return Response(CaseSerializer(case).data)


def latest_follow_ups(case: CaseFile) -> "QuerySet[FollowUp]":
    newer = FollowUp.objects.filter(stable=OuterRef("stable"), version__gt=OuterRef("version"))
    latest = FollowUp.objects.filter(~Exists(newer), case=case).prefetch_related("texts")
    return latest.order_by("-occurred_at", "-stable")


class FollowUps(APIView):
    def get(self, request: Any, case_id: UUID) -> Response:
        limit, follow_ups = limit_of(request), latest_follow_ups(seen_case(request.user, case_id))
        if "cursor" in request.query_params:
            text, _, last = request.query_params["cursor"].partition("~")
            moment = datetime.fromisoformat(text)
            follow_ups = follow_ups.filter(Q(occurred_at__lt=moment) | Q(occurred_at=moment, stable__lt=last))
        page = list(follow_ups[: limit + 1])
        last_shown = page[limit - 1] if len(page) > limit else None
        following = f"{last_shown.occurred_at.isoformat()}~{last_shown.stable}" if last_shown else None
        return Response({"items": FollowUpSerializer(page[:limit], many=True).data, "next": following})

    def post(self, request: Any, case_id: UUID) -> Response:
        use, done = done_before(request, "POST follow-ups")
        new = validated(NewFollowUp(data=request.data))
        if done is not None:
            return Response({"id": done, "version": 1}, CREATED)
        with transaction.atomic():
            case = seen_case(request.user, case_id, CaseFile.objects.select_for_update())
            now = timezone.now()
            head = FollowUp.objects.create(
                case=case, author=request.user, occurred_at=new["occurred_at"], recorded_at=now
            )
            FollowUpText.objects.bulk_create(
                FollowUpText(follow_up=head, compartment=group, record=record)
                for group, record in _records(new).items()
            )
            case.version = F("version") + 1
            case.last_contact_at = now
            case.save(update_fields=["version", "last_contact_at"])
            use.resource_id = head.stable
            use.save(force_insert=True)
        return Response({"id": head.stable, "version": 1}, CREATED)


def _records(new: dict[str, Any]) -> dict[str, dict[str, Any]]:
    records = {group: {"text": text} for group, text in new["content"].items()}
    head_group = HEAD_GROUP[new["type"]]
    head = {name: new[name] for name in HEAD_FIELDS if name in new}
    records[head_group] = {**head, **records.get(head_group, {})}
    return records


class Searching(APIView):
    def post(self, request: Any) -> Response:
        cases = listed(request.user).filter(groups__compartment="identity")
        for word in searchable(validated(Search(data=request.data))["name"]).split():
            cases = cases.filter(search_name__contains=word)
        found = cases.annotate(identity=F("groups__content")).order_by("-pk")[:FOUND_LIMIT]
        items = [
            {"case_id": case.pk, "name_in_use": case.identity["name_in_use"], "score": 1.0} for case in found
        ]
        return Response({"items": items})


class Handoffs(APIView):
    def post(self, request: Any, case_id: UUID) -> Response:
        use, done = done_before(request, "POST handoffs")
        if done is not None:
            return Response({"case_id": done}, CREATED)
        new = validated(NewHandoff(data=request.data))
        with transaction.atomic():
            copy = _copy(request.user, case_id, new)
            use.resource_id = copy.pk
            use.save(force_insert=True)
        return Response({"case_id": copy.pk}, CREATED)


def _copy(member: Membership, case_id: UUID, new: dict[str, Any]) -> CaseFile:
    case = seen_case(member, case_id, CaseFile.objects.prefetch_related("groups"))
    chosen, now = set(new["groups"]), timezone.now()
    heads = list(latest_follow_ups(case).filter(stable__in=new["follow_ups"]))
    receiver = Membership.objects.filter(org__slug=new["to"])[0]
    copy = CaseFile.objects.create(
        org_id=receiver.org_id,
        status="open",
        created_at=now,
        created_by=receiver,
        last_contact_at=now,
        search_name=case.search_name if "identity" in chosen else "",
    )
    CaseGroup.objects.bulk_create(
        CaseGroup(
            case=copy,
            compartment=group.compartment,
            version=int(group.compartment in chosen),
            content=group.content if group.compartment in chosen else None,
        )
        for group in case.groups.all()
    )
    copied = FollowUp.objects.bulk_create(
        FollowUp(case=copy, author=receiver, occurred_at=head.occurred_at, recorded_at=now) for head in heads
    )
    FollowUpText.objects.bulk_create(
        FollowUpText(follow_up=mine, compartment=text.compartment, record=text.record)
        for mine, head in zip(copied, heads, strict=True)
        for text in head.texts.all()
        if text.compartment in chosen
    )
    Assignment.objects.create(case=copy, member=receiver, since=now)
    Handoff.objects.create(id=new_id(), from_case=case, to_case=copy, state="accepted", sent_at=now)
    return copy


class Sessions(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Any) -> Response:
        given = validated(Credentials(data=request.data))
        account = Account.objects.filter(login=given["login"], active=True).first()
        if account is None or not password_is(account.password_hash, given["password"]):
            raise AuthenticationFailed
        token, row = new_token()
        now = timezone.now()
        Session.objects.create(id=row, account=account, seen_at=now, expires_at=now + ABSOLUTE)
        return Response({"token": token, "needs": ["totp"], "expires_at": now + ABSOLUTE}, CREATED)


class SecondFactors(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Any) -> Response:
        code, now = validated(SecondFactor(data=request.data))["code"], timezone.now()
        with transaction.atomic():
            pending = find_session(request.headers.get("authorization", ""))
            account = pending.account
            step = accepted_step(account.totp_seed, code, account.totp_step, now)
            if step is None:
                raise AuthenticationFailed
            # Compare and set: two requests with one code cannot both pass.
            if not Account.objects.filter(pk=account.pk, totp_step__lt=step).update(totp_step=step):
                raise AuthenticationFailed
            pending.member = Membership.objects.get(account=account)
            pending.save(update_fields=["member"])
        return Response({"needs": []})


urlpatterns = (
    path("api/v1/sessions", Sessions.as_view()),
    path("api/v1/sessions/current/second-factor", SecondFactors.as_view()),
    path("api/v1/cases", Cases.as_view()),
    path("api/v1/cases/<uuid:case_id>", Case.as_view()),
    path("api/v1/cases/<uuid:case_id>/follow-ups", FollowUps.as_view()),
    path("api/v1/cases/<uuid:case_id>/handoffs", Handoffs.as_view()),
    path("api/v1/search", Searching.as_view()),
)
