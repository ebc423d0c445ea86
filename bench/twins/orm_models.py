"""The twins' tables as ORM classes."""

from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from bench.twins import tables


class Base(DeclarativeBase):
    metadata = tables.metadata


class Organisation(Base):
    __table__ = tables.organisation


class Account(Base):
    __table__ = tables.account


class Membership(Base):
    __table__ = tables.membership
    account: Mapped[Account] = relationship()


class Session(Base):
    __table__ = tables.session


class Idempotency(Base):
    __table__ = tables.idempotency


class CaseGroup(Base):
    __table__ = tables.case_group


class Assignment(Base):
    __table__ = tables.assignment


class CaseFile(Base):
    __table__ = tables.case_file
    groups: Mapped[list[CaseGroup]] = relationship(lazy="raise")
    assignments: Mapped[list[Assignment]] = relationship(lazy="raise")
    identity: Mapped[CaseGroup] = relationship(
        lazy="raise",
        viewonly=True,
        primaryjoin=lambda: (
            (CaseFile.org_id == CaseGroup.org_id)
            & (CaseFile.id == CaseGroup.case_id)
            & (CaseGroup.compartment == "identity")
        ),
        uselist=False,
    )


class FollowUpText(Base):
    __table__ = tables.follow_up_text


class FollowUp(Base):
    __table__ = tables.follow_up
    texts: Mapped[list[FollowUpText]] = relationship(lazy="raise")


class Handoff(Base):
    __table__ = tables.handoff
