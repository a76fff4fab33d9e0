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
    shared_change int not null default 0,
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

  `create table message_search (
    conversation_id uuid not null,
    seq int not null,
    words tsvector not null,
    primary key (conversation_id, seq),
    constraint message_search_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on delete cascade
  )`,
  'create index message_search_words on message_search using gin (words)',
  `create table search_positions (
    conversation_id uuid not null,
    change int not null,
    primary key (conversation_id),
    constraint search_positions_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on update cascade on delete cascade
  )`,

  /*
   * The send path: writes a group of messages in one round trip and one transaction.
   *
   * `batch` is a JSON array of { n, conversation, sender, id, client, hash, type, content, reply, source, names }: n
   * numbers the items, hash is hex, source is the { conversation, id } of a message to forward, names are the lower-case
   * usernames mentioned. Answered per item, by n:
   *   seqs, changes                    what was stored, an array of each; 0 where it was not
   *   refused   [[n, why], …]          busy: the conversation is locked by someone else, ask again; absent: no such
   *                                    conversation for this sender; reply: the message replied to is not in it;
   *                                    source: the sender cannot read the message to forward
   *   repeated  [{ n, same, id, seq, change, at }, …] the client id was used before, with the same input or another
   *   replies   [{ n, id, seq, sender, excerpt }, …]  what stored items reply to
   *   forwards  [{ n, type, content, from }, …]       what stored items forward
   *   mentions  [[n, user], …]
   *   members   { conversation: members_change, as text }
   *   at        the time of all stored items
   *
   * What is decided item by item is decided in a loop, each look-up one row by its key. What is written is written by one
   * statement a table, since starting a statement costs as much as several rows of it; but one message alone, which is
   * what an idle server sees, by statements on one row, whose plans are smaller.
   *
   * A session keeps its plans, which may have been made while the tables were empty and any way looked as good as any
   * other. So the planner is left no choice: only indexes, only nested loops, and a client id is looked up as the first
   * row from its key on, in the order of the one index that has that key.
   *
   * Locks are taken without waiting, in the order of ids: a row that someone holds for long does not hold up the others.
   * Under read committed each statement sees what was committed before it began, so what is read after the lock holds:
   * who participates, which client ids are used, the counters.
   */
  `create function append_messages(batch json) returns json language plpgsql
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  declare
    stamp constant timestamptz := date_trunc('milliseconds', clock_timestamp());
    item record;
    other record;
    conversation uuid;
    verdict text;
    seq_before int;
    seq_now int;
    change_now int;
    members_now int;
    read_before int;
    gone_at timestamptz;
    forwarded jsonb;
    -- by n + 1; 0: not stored
    seqs int[] := array_fill(0, array[json_array_length(batch)]);
    changes int[] := seqs;
    stored int := 0;
    -- items whose sender had not read what stood before
    behind int[] := '{}';
    -- conversations to move on
    moved uuid[] := '{}';
    moved_seqs int[] := '{}';
    moved_changes int[] := '{}';
    members text[] := '{}';
    refused json[] := '{}';
    repeated json[] := '{}';
    replies json[] := '{}';
    forwards json[] := '{}';
    mentions json[] := '{}';
  begin
    for item in
      select * from json_to_recordset(batch) as i (
        n int, conversation uuid, sender uuid, id uuid, client text, hash text, type text, content text, reply uuid,
        source json, names json
      ) order by i.conversation, i.n
    loop
      if item.conversation is distinct from conversation then
        if seq_now > seq_before then
          moved := moved || conversation;
          moved_seqs := moved_seqs || seq_now;
          moved_changes := moved_changes || change_now;
          members := members || conversation::text || members_now::text;
        end if;
        conversation := item.conversation;
        select c.last_seq, c.last_seq, c.last_change, c.members_change into seq_before, seq_now, change_now, members_now
          from conversations c where c.id = conversation and c.deleted_at is null for no key update skip locked;
        verdict := case
          when found then null
          when exists (select from conversations c where c.id = conversation and c.deleted_at is null) then 'busy'
          else 'absent'
        end;
      end if;
      if verdict is not null then
        refused := refused || json_build_array(item.n, verdict);
        continue;
      end if;

      select p.last_read_seq, p.left_at into read_before, gone_at from participants p
        where p.conversation_id = conversation and p.user_id = item.sender;
      if not found or gone_at is not null then
        refused := refused || json_build_array(item.n, 'absent');
        continue;
      end if;

      -- a repeated item is told its first result, whatever has become of what it refers to
      select m.conversation_id, m.sender_id, m.client_id, m.id, m.seq, m.created_change, m.client_hash, m.created_at
        into other from messages m
        where (m.conversation_id, m.sender_id, m.client_id) >= (conversation, item.sender, item.client)
        order by m.conversation_id, m.sender_id, m.client_id limit 1;
      if other.client_id = item.client and other.sender_id = item.sender and other.conversation_id = conversation then
        repeated := repeated || json_build_object('n', item.n, 'same', other.client_hash = decode(item.hash, 'hex'),
          'id', other.id, 'seq', other.seq, 'change', other.created_change, 'at', other.created_at);
        continue;
      end if;

      forwarded := null;
      if item.source is not null then
        select m.id, m.type, m.content, m.sender_id into other
          from messages m
          join participants p on p.conversation_id = m.conversation_id and p.user_id = item.sender and p.left_at is null
          join conversations c on c.id = m.conversation_id and c.deleted_at is null
          where m.conversation_id = (item.source ->> 'conversation')::uuid and m.id = (item.source ->> 'id')::uuid
            and m.deleted_at is null;
        if not found then
          refused := refused || json_build_array(item.n, 'source');
          continue;
        end if;
        forwarded := jsonb_strip_nulls(jsonb_build_object('messageId', other.id, 'senderId', other.sender_id));
        item.type := other.type;
        item.content := other.content;
        forwards := forwards
          || json_build_object('n', item.n, 'type', item.type, 'content', item.content, 'from', forwarded);
      elsif item.reply is not null then
        select m.id, m.seq, m.sender_id as sender,
          case when m.deleted_at is null then left(m.content, 100) else '' end as excerpt
          into other from messages m where m.conversation_id = conversation and m.id = item.reply;
        if not found then
          refused := refused || json_build_array(item.n, 'reply');
          continue;
        end if;
        replies := replies || json_build_object('n', item.n, 'id', other.id, 'seq', other.seq, 'sender', other.sender,
          'excerpt', other.excerpt);
      end if;

      if read_before < seq_before or seq_now > seq_before then
        behind := behind || item.n;
      end if;
      seq_now := seq_now + 1;
      change_now := change_now + 1;
      seqs[item.n + 1] := seq_now;
      changes[item.n + 1] := change_now;
      stored := stored + 1;
      if item.names is not null then
        with named as (
          insert into mentions (conversation_id, seq, user_id)
          select conversation, seq_now, u.id
          from users u join participants p on p.conversation_id = conversation and p.user_id = u.id and p.left_at is null
          where lower(u.username) = any (array(select json_array_elements_text(item.names)))
          returning user_id
        )
        select mentions || coalesce(array_agg(json_build_array(item.n, user_id)), '{}') into mentions from named;
      end if;
    end loop;
    if seq_now > seq_before then
      moved := moved || conversation;
      moved_seqs := moved_seqs || seq_now;
      moved_changes := moved_changes || change_now;
      members := members || conversation::text || members_now::text;
    end if;

    if stored = 1 and json_array_length(batch) = 1 then
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, type, content, reply_to_id,
          forwarded_from, client_id, client_hash, created_at)
        values (conversation, item.id, seq_now, change_now, change_now, item.sender, item.type, item.content, item.reply,
          forwarded, item.client, decode(item.hash, 'hex'), stamp);
      update conversations set last_seq = seq_now, last_change = change_now, last_message_at = stamp
        where id = conversation;
      update participants p set last_read_seq = greatest(p.last_read_seq, seq_now), last_read_at = stamp, updated_at = stamp
        where p.conversation_id = conversation and p.user_id = item.sender;
    elsif stored > 0 then
      insert into messages (conversation_id, id, seq, change, created_change, sender_id, type, content, reply_to_id,
          forwarded_from, client_id, client_hash, created_at)
        select i.conversation, i.id, seqs[i.n + 1], changes[i.n + 1], changes[i.n + 1], i.sender, coalesce(f.type, i.type),
          coalesce(f.content, i.content), i.reply, f.origin, i.client, decode(i.hash, 'hex'), stamp
        from json_to_recordset(batch) as i (
          n int, conversation uuid, sender uuid, id uuid, client text, hash text, type text, content text, reply uuid,
          source json
        )
        left join lateral (
          select one ->> 'type' as type, one ->> 'content' as content, (one -> 'from')::jsonb as origin
          from unnest(forwards) as one where i.source is not null and (one ->> 'n')::int = i.n
        ) f on true
        where seqs[i.n + 1] > 0;
      update conversations c set last_seq = g.seq, last_change = g.change, last_message_at = stamp
        from unnest(moved, moved_seqs, moved_changes) as g (id, seq, change) where c.id = g.id;
      update participants p set last_read_seq = greatest(p.last_read_seq, g.seq), last_read_at = stamp, updated_at = stamp
        from (
          select i.conversation, i.sender, max(seqs[i.n + 1]) as seq
          from json_to_recordset(batch) as i (n int, conversation uuid, sender uuid)
          where seqs[i.n + 1] > 0 group by i.conversation, i.sender
        ) g
        where p.conversation_id = g.conversation and p.user_id = g.sender;
    end if;
    -- who writes has read what stood before
    if behind <> '{}' then
      insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
        select i.conversation, i.sender, max(seqs[i.n + 1]), stamp
        from json_to_recordset(batch) as i (n int, conversation uuid, sender uuid)
        where i.n = any (behind) group by i.conversation, i.sender
        on conflict do nothing;
    end if;
    return json_build_object('at', stamp, 'seqs', seqs, 'changes', changes, 'refused', refused,
      'repeated', repeated, 'replies', replies, 'forwards', forwards, 'mentions', mentions,
      'members', json_object(members));
  end $$`,
]
