import { Migration } from '@mikro-orm/migrations'

/** Accounts and the messenger: tables as the entities state them, and what entities cannot state (the end of the file). */
export class Migration20261121000000_messenger extends Migration {
  override up(): void {
    for (const statement of [...identity, ...messenger]) this.addSql(statement)
  }
}

const identity = [
  `create table users (
    id uuid not null,
    kind text not null default 'human',
    username text not null,
    email text null,
    email_verified_at timestamptz null,
    password_hash text null,
    display_name text not null,
    avatar_id uuid null,
    locale text not null default 'en',
    role text not null default 'user',
    referral_code_used text null,
    banned_at timestamptz null,
    ban_reason text null,
    last_seen_at timestamptz null,
    deleted_at timestamptz null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint users_kind_check check (kind in ('human', 'agent')),
    constraint users_role_check check (role in ('user', 'viewer', 'operator', 'moderator', 'admin', 'super_admin'))
  )`,
  'create unique index users_username_unique on users (lower(username) text_pattern_ops)',
  'create unique index users_email_unique on users (lower(email))',
  'create index users_display_name_lower on users (lower(display_name) text_pattern_ops)',

  `create table refresh_tokens (
    token_hash bytea not null,
    user_id uuid not null references users (id) on delete cascade,
    family_id uuid not null,
    device jsonb null,
    expires_at timestamptz not null,
    rotated_at timestamptz null,
    revoked_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (token_hash)
  )`,
  'alter table refresh_tokens rename constraint refresh_tokens_user_id_fkey to refresh_tokens_user_id_foreign',
  'create index refresh_tokens_user on refresh_tokens (user_id)',
  'create index refresh_tokens_family on refresh_tokens (family_id)',

  `create function update_updated_at_column() returns trigger language plpgsql as $$
  begin
    new.updated_at := now();
    return new;
  end $$`,
  `create trigger users_updated_at before update on users
    for each row execute function update_updated_at_column()`,
]

const messenger = [
  `create table conversations (
    id uuid not null,
    type text not null,
    title text null,
    avatar_id uuid null,
    created_by uuid null,
    direct_key text null,
    client_id text null,
    last_seq int not null default 0,
    last_change int not null default 0,
    members_change int not null default 0,
    last_message_at timestamptz null,
    deleted_at timestamptz null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint conversations_type_check check (type in ('direct', 'group', 'assistant')),
    constraint conversations_direct_key_unique unique (direct_key),
    constraint conversations_client_id_unique unique (created_by, client_id),
    constraint conversations_created_by_foreign foreign key (created_by) references users (id) on delete set null
  ) with (fillfactor = 70)`,

  `create table participants (
    conversation_id uuid not null,
    user_id uuid not null,
    role text not null default 'member',
    is_pinned boolean not null default false,
    is_muted boolean not null default false,
    is_archived boolean not null default false,
    last_read_seq int not null default 0,
    last_read_at timestamptz null,
    last_delivered_seq int not null default 0,
    joined_at timestamptz not null default now(),
    left_at timestamptz null,
    change int not null,
    updated_at timestamptz not null default now(),
    primary key (conversation_id, user_id),
    constraint participants_role_check check (role in ('owner', 'admin', 'member')),
    constraint participants_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on update cascade on delete cascade,
    constraint participants_user_id_foreign foreign key (user_id)
      references users (id) on update cascade on delete cascade
  ) with (fillfactor = 70)`,
  'create index participants_user_present on participants (user_id) where left_at is null',

  `create table messages (
    conversation_id uuid not null,
    id uuid not null,
    seq int not null,
    change int not null,
    created_change int not null,
    sender_id uuid null,
    role text not null default 'user',
    type text not null default 'text',
    content text not null,
    reply_to_id uuid null,
    forwarded_from jsonb null,
    client_id text null,
    client_hash bytea null,
    status text not null default 'sent',
    edited_at timestamptz null,
    deleted_at timestamptz null,
    created_at timestamptz not null,
    primary key (conversation_id, id),
    constraint messages_role_check check (role in ('user', 'assistant', 'system')),
    constraint messages_type_check check (type in ('text', 'image', 'video', 'audio', 'file', 'system')),
    constraint messages_status_check check (status in ('sent', 'streaming', 'failed', 'cancelled')),
    constraint messages_seq_unique unique (conversation_id, seq),
    constraint messages_client_id_unique unique (conversation_id, sender_id, client_id),
    constraint messages_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on delete cascade,
    constraint messages_sender_id_foreign foreign key (sender_id) references users (id) on delete set null
  )`,
  'create index messages_change on messages (conversation_id, change)',
  `create index messages_content_search on messages using gin (to_tsvector('simple', content))`,

  `create table message_revisions (
    id bigserial primary key,
    conversation_id uuid not null,
    message_id uuid not null,
    content text not null,
    edited_at timestamptz not null,
    constraint message_revisions_conversation_id_message_id_foreign foreign key (conversation_id, message_id)
      references messages (conversation_id, id) on update cascade on delete cascade
  )`,
  `create index message_revisions_conversation_id_message_id_index
    on message_revisions (conversation_id, message_id)`,

  `create table mentions (
    conversation_id uuid not null,
    seq int not null,
    user_id uuid not null,
    primary key (conversation_id, seq, user_id),
    constraint mentions_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on delete cascade,
    constraint mentions_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,

  `create table reactions (
    conversation_id uuid not null,
    message_id uuid not null,
    user_id uuid not null,
    emoji text not null,
    created_at timestamptz not null default now(),
    primary key (conversation_id, message_id, user_id, emoji),
    constraint reactions_conversation_id_message_id_foreign foreign key (conversation_id, message_id)
      references messages (conversation_id, id) on update cascade on delete cascade,
    constraint reactions_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,

  `create table read_receipts (
    conversation_id uuid not null,
    user_id uuid not null,
    up_to_seq int not null,
    read_at timestamptz not null,
    primary key (conversation_id, user_id, up_to_seq),
    constraint read_receipts_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on delete cascade,
    constraint read_receipts_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,

  /*
   * The send path: writes a group of messages in one round trip and one transaction.
   *
   * `batch` is a JSON array of { n, conversation, sender, id, client, hash, type, content, reply, source, names }: n
   * numbers the items, hash is hex, source is the { conversation, id } of a message to forward, names are the lower-case
   * usernames mentioned. Answered per item, by n:
   *   stored    [[n, seq, change], …]; both numbers follow the order of n within a conversation
   *   refused   [[n, why], …]          busy: the conversation is locked by someone else, ask again; absent: no such
   *                                    conversation for this sender; reply: the message replied to is not in it;
   *                                    source: the sender cannot read the message to forward
   *   repeated  [{ n, same, id, seq, change, at }, …] the client id was used before, with the same input or another
   *   replies   [{ n, id, seq, sender, excerpt }, …]  what stored items reply to
   *   forwards  [{ n, type, content, from }, …]       what stored items forward
   *   mentions  [[n, user], …]
   *   members   { conversation: members_change }
   *   at        the time of all stored items
   *
   * The first statement takes the locks, without waiting: a row that someone holds for long does not hold up the others,
   * and no deadlock can arise. The second then sees, under read committed, all that was committed before the locks were
   * taken: who participates, which client ids are used, the counters. The planner settings keep a plan that was made
   * while the tables were small from being kept when they are not: every access here is by index.
   */
  `create function append_messages(batch json) returns json language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_mergejoin = off set enable_material = off set jit = off as $$
  declare
    wanted uuid[] := array(select distinct (item ->> 'conversation')::uuid from json_array_elements(batch) as item);
    locked uuid[];
    stamp timestamptz := date_trunc('milliseconds', clock_timestamp());
    outcome json;
  begin
    locked := array(
      select id from conversations where id = any (wanted) and deleted_at is null
      order by id for no key update skip locked
    );

    with item as materialized (
      select * from json_to_recordset(batch) as i (
        n int, conversation uuid, sender uuid, id uuid, client text, hash text, type text, content text,
        reply uuid, source json, names json
      )
    ), judged as materialized (
      select i.*, decode(i.hash, 'hex') as digest, p.last_read_seq as read_before,
        d.id as d_id, d.seq as d_seq, d.created_change as d_change, d.created_at as d_at, d.client_hash as d_digest,
        r.seq as r_seq, r.sender_id as r_sender, case when r.deleted_at is null then left(r.content, 100) else '' end as r_excerpt,
        s.id as s_id, s.type as s_type, s.content as s_content,
        case when s.id is not null then
          jsonb_strip_nulls(jsonb_build_object('messageId', s.id, 'senderId', s.sender_id)) end as forwarded,
        case
          when i.conversation <> all (locked) then
            case when exists (select from conversations c where c.id = i.conversation and c.deleted_at is null)
              then 'busy' else 'absent' end
          when p.user_id is null then 'absent'
          when d.id is not null then 'repeated'
          when i.reply is not null and r.id is null then 'reply'
          when i.source is not null and s.id is null then 'source'
          else 'stored'
        end as verdict
      from item i
      left join lateral (
        select * from participants where conversation_id = i.conversation and user_id = i.sender limit 1
      ) p on p.left_at is null
      left join lateral (
        select * from messages where conversation_id = i.conversation and sender_id = i.sender and client_id = i.client limit 1
      ) d on true
      left join lateral (
        select * from messages where i.reply is not null and conversation_id = i.conversation and id = i.reply limit 1
      ) r on true
      left join lateral (
        select m.id, m.type, m.content, m.sender_id from messages m
        where i.source is not null and m.conversation_id = (i.source ->> 'conversation')::uuid
          and m.id = (i.source ->> 'id')::uuid and m.deleted_at is null
          and exists (
            select from participants q join conversations c on c.id = q.conversation_id
            where q.conversation_id = m.conversation_id and q.user_id = i.sender and q.left_at is null
              and c.deleted_at is null
          )
        limit 1
      ) s on true
    ), counted as materialized (
      select *, row_number() over (partition by conversation order by n) as place from judged where verdict = 'stored'
    ), bumped as materialized (
      update conversations c
      set last_seq = c.last_seq + g.many, last_change = c.last_change + g.many, last_message_at = stamp
      from (select conversation, count(*)::int as many from counted group by conversation) g
      where c.id = g.conversation
      returning c.id, c.last_seq - g.many as seq_before, c.last_change - g.many as change_before, c.members_change
    ), placed as materialized (
      select i.*, (b.seq_before + i.place)::int as seq, (b.change_before + i.place)::int as change
      from counted i join bumped b on b.id = i.conversation
    ), inserted as (
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, type, content, reply_to_id,
        forwarded_from, client_id, client_hash, created_at)
      select conversation, id, seq, change, change, sender, coalesce(s_type, type), coalesce(s_content, content), reply,
        forwarded, client, digest, stamp
      from placed
    ), own as materialized (
      select conversation, sender, max(seq) as top, min(read_before) as read_before, count(*) as many
      from placed group by conversation, sender
    ), advanced as (
      update participants p set last_read_seq = greatest(p.last_read_seq, o.top), last_read_at = stamp, updated_at = stamp
      from own o where p.conversation_id = o.conversation and p.user_id = o.sender
    ), read as (
      insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
      select conversation, sender, top, stamp from own where read_before + many < top
      on conflict do nothing
    ), named as (
      insert into mentions (conversation_id, seq, user_id)
      select distinct m.conversation, m.seq, u.id
      from placed m
      cross join lateral json_array_elements_text(m.names) as name
      cross join lateral (select id from users where lower(username) = name limit 1) u
      cross join lateral (
        select left_at from participants where conversation_id = m.conversation and user_id = u.id limit 1
      ) p
      where m.names is not null and p.left_at is null
      returning conversation_id, seq, user_id
    )
    select json_build_object(
      'at', stamp,
      'stored', (select json_agg(json_build_array(n, seq, change)) from placed),
      'refused', (select json_agg(json_build_array(n, verdict)) from judged where verdict not in ('stored', 'repeated')),
      'repeated', (
        select json_agg(json_build_object('n', n, 'same', d_digest = digest, 'id', d_id, 'seq', d_seq,
          'change', d_change, 'at', d_at))
        from judged where verdict = 'repeated'
      ),
      'replies', (
        select json_agg(json_build_object('n', n, 'id', reply, 'seq', r_seq, 'sender', r_sender, 'excerpt', r_excerpt))
        from placed where reply is not null
      ),
      'forwards', (
        select json_agg(json_build_object('n', n, 'type', s_type, 'content', s_content, 'from', forwarded))
        from placed where s_id is not null
      ),
      'mentions', (
        select json_agg(json_build_array(m.n, named.user_id))
        from named join placed m on m.conversation = named.conversation_id and m.seq = named.seq
      ),
      'members', (select json_object_agg(id, members_change) from bumped)
    ) into outcome;
    return outcome;
  end $$`,
]
