"""Tenants, users, roles, refresh tokens and the audit log."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE identity.tenants (
        tenant_id text PRIMARY KEY,
        name text NOT NULL UNIQUE,
        max_users integer NOT NULL DEFAULT 100,
        created_at timestamptz NOT NULL DEFAULT now()
    )""",
    "INSERT INTO identity.tenants (tenant_id, name, max_users) VALUES ('_public', '_public', 1000)",
    """
    CREATE TABLE identity.users (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        tenant_id text NOT NULL REFERENCES identity.tenants ON DELETE CASCADE,
        email text NOT NULL,
        display_name text NOT NULL DEFAULT '',
        password_hash text NOT NULL,
        status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )""",
    "CREATE UNIQUE INDEX users_email ON identity.users (tenant_id, lower(email))",
    "CREATE INDEX users_listed ON identity.users (tenant_id, created_at, id)",
    """
    CREATE TABLE identity.user_roles (
        user_id uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
        role text NOT NULL CHECK (role IN ('platform-admin', 'tenant-admin', 'member')),
        PRIMARY KEY (user_id, role)
    )""",
    """
    CREATE TABLE identity.refresh_tokens (
        token_hash bytea PRIMARY KEY,
        family uuid NOT NULL,
        user_id uuid NOT NULL REFERENCES identity.users ON DELETE CASCADE,
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        issued_at timestamptz NOT NULL DEFAULT now()
    )""",
    "CREATE INDEX refresh_tokens_family ON identity.refresh_tokens (family)",
    "CREATE INDEX refresh_tokens_user ON identity.refresh_tokens (user_id)",
    "CREATE INDEX refresh_tokens_expiry ON identity.refresh_tokens (expires_at)",
    """
    CREATE TABLE identity.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        actor text NOT NULL,
        tenant_id text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        outcome text NOT NULL,
        request_id text NOT NULL,
        details jsonb NOT NULL DEFAULT '{}'
    )""",
    "CREATE INDEX audit_tenant ON identity.audit (tenant_id, id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute(
        "DROP TABLE identity.audit, identity.refresh_tokens, identity.user_roles, identity.users, identity.tenants"
    )
