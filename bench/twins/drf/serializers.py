"""casework's wire types as serializers."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from bench.content import GROUPS
from bench.twins.drf.models import CaseFile, FollowUp
from casework.follow_ups.types import HEAD_GROUP

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
HEAD_FIELDS = ("type", "channel", "duration_minutes", "action", "next_step")
CHANNELS = ("on_site", "phone", "visit", "mobile_team", "video", "mail")


class Credentials(serializers.Serializer):
    login = serializers.CharField(min_length=1, max_length=100)
    password = serializers.CharField(min_length=1, max_length=1_024, trim_whitespace=False)


class SecondFactor(serializers.Serializer):
    code = serializers.RegexField(r"\A[0-9]{6}\Z")


class CaseSerializer(serializers.ModelSerializer):
    groups = serializers.SerializerMethodField()
    versions = serializers.SerializerMethodField()
    withheld = serializers.ListField(default=[])

    class Meta:
        model = CaseFile
        fields = ("id", "status", "version", "groups", "versions", "withheld")

    def get_groups(self, case: CaseFile) -> dict[str, Any]:
        return {group.compartment: group.content or {} for group in case.groups.all()}

    def get_versions(self, case: CaseFile) -> dict[str, int]:
        return {group.compartment: group.version for group in case.groups.all()}

    def to_representation(self, case: CaseFile) -> dict[str, Any]:
        case.withheld = []
        return super().to_representation(case)


class CaseItemSerializer(serializers.ModelSerializer):
    identity = serializers.JSONField()

    class Meta:
        model = CaseFile
        fields = ("id", "status", "identity")


class FollowUpSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="stable")
    author = serializers.UUIDField(source="author_id")

    class Meta:
        model = FollowUp
        fields = ("id", "occurred_at", "author", "version")

    def to_representation(self, follow_up: FollowUp) -> dict[str, Any]:
        shown = super().to_representation(follow_up)
        records = {text.compartment: text.record for text in follow_up.texts.all()}
        fields = next((record for record in records.values() if "type" in record), {})
        shown["content"] = {group: record["text"] for group, record in records.items() if "text" in record}
        shown["withheld"] = []
        return shown | {name: fields[name] for name in HEAD_FIELDS if name in fields}


class NewFollowUp(serializers.Serializer):
    type = serializers.ChoiceField(tuple(HEAD_GROUP))
    occurred_at = serializers.DateTimeField()
    channel = serializers.ChoiceField(CHANNELS)
    duration_minutes = serializers.IntegerField(min_value=0, max_value=1_440)
    content = serializers.DictField(child=serializers.CharField(max_length=50_000))
    action = serializers.CharField(max_length=500, required=False)
    next_step = serializers.CharField(max_length=500, required=False)

    def validate_occurred_at(self, moment: datetime) -> datetime:
        if not EARLIEST <= moment <= timezone.now():
            raise serializers.ValidationError("out of range")
        return moment

    def validate_content(self, content: dict[str, str]) -> dict[str, str]:
        if not content or not set(content) <= set(GROUPS):
            raise serializers.ValidationError("not in vocabulary")
        return content

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if set(self.initial_data) - set(self.fields):
            raise serializers.ValidationError("unknown field")
        return data


class Search(serializers.Serializer):
    name = serializers.CharField(max_length=200)


class NewHandoff(serializers.Serializer):
    to = serializers.CharField(max_length=40)
    kind = serializers.ChoiceField(("orientation", "transfer"))
    purpose = serializers.CharField(max_length=40)
    urgency = serializers.ChoiceField(("normal", "soon", "danger"))
    groups = serializers.ListField(child=serializers.ChoiceField(GROUPS), min_length=1, max_length=8)
    follow_ups = serializers.ListField(child=serializers.UUIDField(), max_length=500)
