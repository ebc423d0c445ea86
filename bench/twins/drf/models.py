"""casework's tables as Django models: one key column each, as Django's relations want it."""

from django.db import models

from casework.ids import new_id


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    slug = models.CharField(max_length=40, unique=True)


class Account(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    org = models.ForeignKey(Organisation, models.PROTECT)
    login = models.CharField(max_length=100, unique=True)
    active = models.BooleanField(default=True)
    password_hash = models.CharField(max_length=200)
    totp_seed = models.CharField(max_length=64)
    totp_step = models.BigIntegerField(default=0)


class Membership(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    org = models.ForeignKey(Organisation, models.PROTECT)
    account = models.ForeignKey(Account, models.PROTECT)
    role = models.CharField(max_length=20)
    professions = models.CharField(max_length=100)
    active = models.BooleanField(default=True)
    # What REST framework asks of whoever is signed in.
    is_authenticated = True


class Session(models.Model):
    id = models.BinaryField(primary_key=True, max_length=32)
    account = models.ForeignKey(Account, models.CASCADE)
    member = models.ForeignKey(Membership, models.CASCADE, null=True)
    seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()


class Idempotency(models.Model):
    member = models.ForeignKey(Membership, models.CASCADE)
    route = models.CharField(max_length=80)
    key = models.CharField(max_length=100)
    body_hash = models.BinaryField(max_length=32)
    resource_id = models.UUIDField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["member", "route", "key"], name="one_use"),)


class Team(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    org = models.ForeignKey(Organisation, models.PROTECT)
    name = models.CharField(max_length=100)


class TeamMember(models.Model):
    team = models.ForeignKey(Team, models.CASCADE, related_name="members")
    member = models.ForeignKey(Membership, models.CASCADE)


class CaseFile(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    org = models.ForeignKey(Organisation, models.PROTECT)
    status = models.CharField(max_length=10)
    restricted = models.BooleanField(default=False)
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(Membership, models.PROTECT, db_column="created_by")
    last_contact_at = models.DateTimeField()
    search_name = models.CharField(max_length=200)

    class Meta:
        indexes = (models.Index(fields=["org", "-id"], name="newest_first"),)


class CaseGroup(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="groups")
    compartment = models.CharField(max_length=20)
    version = models.IntegerField(default=0)
    content = models.JSONField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["case", "compartment"], name="one_group"),)


class Assignment(models.Model):
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="assignments")
    member = models.ForeignKey(Membership, models.CASCADE)
    since = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["member", "case"], name="one_assignment"),)


class CaseTeam(models.Model):
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="teams")
    team = models.ForeignKey(Team, models.CASCADE)


class CaseConflict(models.Model):
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="conflicts")
    member = models.ForeignKey(Membership, models.CASCADE)


class BreakGlass(models.Model):
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="emergencies")
    member = models.ForeignKey(Membership, models.CASCADE)
    expires_at = models.DateTimeField()


class FollowUp(models.Model):
    """A version of a follow-up; `stable` is the id that its versions share."""

    stable = models.UUIDField(default=new_id)
    version = models.IntegerField(default=1)
    case = models.ForeignKey(CaseFile, models.CASCADE, related_name="follow_ups")
    author = models.ForeignKey(Membership, models.PROTECT)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=["case", "occurred_at", "stable"], name="timeline"),)
        constraints = (models.UniqueConstraint(fields=["stable", "version"], name="one_version"),)


class FollowUpText(models.Model):
    follow_up = models.ForeignKey(FollowUp, models.CASCADE, related_name="texts")
    compartment = models.CharField(max_length=20)
    record = models.JSONField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["follow_up", "compartment"], name="one_text"),)


class Handoff(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    from_case = models.ForeignKey(CaseFile, models.CASCADE, related_name="+")
    to_case = models.ForeignKey(CaseFile, models.CASCADE, related_name="+")
    state = models.CharField(max_length=20)
    sent_at = models.DateTimeField()
