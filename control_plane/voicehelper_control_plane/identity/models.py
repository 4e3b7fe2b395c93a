"""Users and tokens as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MIN_PASSWORD = 10
MAX_PASSWORD = 256
Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", strip_whitespace=True)]
Password = Annotated[str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
Role = Literal["platform-admin", "tenant-admin", "member"]


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Login(Body):
    tenant: Annotated[str, StringConstraints(max_length=63)]
    email: Annotated[str, StringConstraints(max_length=254)]
    password: Annotated[str, StringConstraints(max_length=MAX_PASSWORD)]


class Refresh(Body):
    refresh_token: Annotated[str, StringConstraints(max_length=500)]


class TokenPair(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds")


class NewUser(Body):
    email: Email
    display_name: Text = ""
    password: Password
    role: Role = "member"


class UserChange(Body):
    display_name: Text | None = None
    password: Password | None = None
    status: Literal["active", "disabled"] | None = None


class RoleChange(Body):
    role: Role


class User(BaseModel):
    id: UUID
    tenant: str
    email: str
    display_name: str
    roles: list[str]
    status: str
    created_at: datetime


class Users(BaseModel):
    items: list[User]
    next_cursor: str
