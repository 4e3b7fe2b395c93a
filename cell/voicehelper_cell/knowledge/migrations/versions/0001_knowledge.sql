-- Documents, their passages, postings and embeddings. {schema} and {role} are filled in by the migration.

create table {schema}.documents (
    id uuid primary key,
    tenant_id text not null,
    external_id text not null default '',
    title text not null,
    media_type text not null,
    status text not null default 'uploaded' check (status in ('uploaded', 'indexed', 'failed')),
    error text not null default '',
    revision bigint not null default 1,
    size_bytes bigint not null,
    chunk_count integer not null default 0,
    text text not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    attempts integer not null default 0,
    deferrals integer not null default 0,
    retry_at timestamptz not null default now()
);
create unique index documents_external on {schema}.documents (tenant_id, external_id) where external_id <> '';
create index documents_list on {schema}.documents (tenant_id, created_at desc, id desc);
create index documents_due on {schema}.documents (tenant_id, retry_at) where status = 'uploaded';

create table {schema}.chunks (
    id uuid primary key,
    tenant_id text not null,
    document_id uuid not null references {schema}.documents (id) on delete cascade,
    revision bigint not null,
    ordinal integer not null,
    start_offset integer not null,
    end_offset integer not null,
    text text not null,
    term_count integer not null,
    created_at timestamptz not null default now(),
    unique (document_id, ordinal)
);
create index chunks_tenant on {schema}.chunks (tenant_id);

-- Apart from chunks, since those are captured and embeddings would quadruple the stream.
create table {schema}.chunk_vectors (
    chunk_id uuid primary key references {schema}.chunks (id) on delete cascade,
    tenant_id text not null,
    embedding bytea not null
);
alter table {schema}.chunk_vectors alter column embedding set storage external;

create table {schema}.chunk_terms (
    tenant_id text not null,
    term text not null,
    chunk_id uuid not null references {schema}.chunks (id) on delete cascade,
    frequency integer not null,
    term_count integer not null,
    primary key (tenant_id, term, chunk_id)
);
create index chunk_terms_chunk on {schema}.chunk_terms (chunk_id);

-- One row a tenant: exact sums for quotas and BM25, and the lock under which a tenant's documents change.
create table {schema}.totals (
    tenant_id text primary key,
    documents bigint not null default 0,
    size_bytes bigint not null default 0,
    chunks bigint not null default 0,
    terms bigint not null default 0
);

create table {schema}.idempotency (
    tenant_id text not null,
    user_id text not null,
    route text not null,
    key text not null,
    request_hash bytea not null,
    response bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, user_id, route, key)
);
create index idempotency_age on {schema}.idempotency (tenant_id, created_at);

create function {schema}.add_to_totals(tenant text, documents bigint, size bigint, chunks bigint, terms bigint)
returns void language sql as $$
    insert into {schema}.totals as t values (tenant, documents, size, chunks, terms)
    on conflict (tenant_id) do update set
        documents = t.documents + excluded.documents, size_bytes = t.size_bytes + excluded.size_bytes,
        chunks = t.chunks + excluded.chunks, terms = t.terms + excluded.terms
$$;
create function {schema}.documents_inserted() returns trigger language plpgsql as $$ begin
    perform {schema}.add_to_totals(tenant_id, count(*), sum(size_bytes)::bigint, 0, 0) from new_rows group by tenant_id;
    return null;
end $$;
create function {schema}.documents_deleted() returns trigger language plpgsql as $$ begin
    perform {schema}.add_to_totals(tenant_id, -count(*), -sum(size_bytes)::bigint, 0, 0) from old_rows group by tenant_id;
    return null;
end $$;
create function {schema}.document_resized() returns trigger language plpgsql as $$ begin
    perform {schema}.add_to_totals(new.tenant_id, 0, new.size_bytes - old.size_bytes, 0, 0);
    return null;
end $$;
create function {schema}.chunks_inserted() returns trigger language plpgsql as $$ begin
    perform {schema}.add_to_totals(tenant_id, 0, 0, count(*), sum(term_count)) from new_rows group by tenant_id;
    return null;
end $$;
create function {schema}.chunks_deleted() returns trigger language plpgsql as $$ begin
    perform {schema}.add_to_totals(tenant_id, 0, 0, -count(*), -sum(term_count)) from old_rows group by tenant_id;
    return null;
end $$;
create trigger documents_inserted after insert on {schema}.documents
    referencing new table as new_rows for each statement execute function {schema}.documents_inserted();
create trigger documents_deleted after delete on {schema}.documents
    referencing old table as old_rows for each statement execute function {schema}.documents_deleted();
create trigger document_resized after update of size_bytes on {schema}.documents
    for each row when (old.size_bytes <> new.size_bytes) execute function {schema}.document_resized();
create trigger chunks_inserted after insert on {schema}.chunks
    referencing new table as new_rows for each statement execute function {schema}.chunks_inserted();
create trigger chunks_deleted after delete on {schema}.chunks
    referencing old table as old_rows for each statement execute function {schema}.chunks_deleted();
