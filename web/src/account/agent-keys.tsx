import { Plus } from 'lucide'
import { useState } from 'preact/hooks'
import type { AgentKey } from '../../../src/client/index.ts'
import { formatDateTime, formatDay, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { CopyButton } from '../ui/copy.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'
import { Problem, useSending } from '../ui/problem.tsx'

/** The keys of an external agent; a new one is shown this once. */
export function AgentKeys({ agentId }: { agentId: string }) {
  const address = `/v1/agents/${agentId}/keys`
  const { value, problem: missing, set } = useFetched<{ items: AgentKey[] }>(address)
  const [name, setName] = useState('')
  const [made, setMade] = useState<string>()
  const { problem, isBusy, send } = useSending({ unprocessable: t('account:tooManyKeys') })
  if (!value) return <Awaited problem={missing} />

  const make = () =>
    send(async () => {
      const input = name.trim() ? { name: name.trim() } : {}
      const { key, ...kept } = await client.rest.request<AgentKey & { key: string }>('POST', address, input)
      setMade(key)
      setName('')
      set({ items: [kept, ...value.items] })
    })

  async function revoke({ id }: AgentKey): Promise<void> {
    await client.rest.request('DELETE', `${address}/${id}`)
    const revokedAt = new Date().toISOString()
    set({ items: value?.items.map((one) => (one.id === id ? { ...one, revokedAt } : one)) ?? [] })
  }

  return (
    <>
      {made && <MadeKey value={made} />}
      <ul class="settings-rows">
        {value.items.map((key) => (
          <li key={key.id}>
            <span class="settings-main">
              <strong dir="auto">{key.name ?? t('account:unnamedKey')}</strong>
              <span class="quiet">
                {t('account:keyMade', { when: formatDay(key.createdAt) })} ·{' '}
                {key.lastUsedAt
                  ? t('account:lastUsed', { when: formatDateTime(key.lastUsedAt) })
                  : t('account:neverUsed')}
              </span>
            </span>
            {key.revokedAt ? (
              <span class="quiet">{t('account:revoked')}</span>
            ) : (
              <ConfirmButton
                label={t('account:revoke')}
                question={t('account:revokeQuestion')}
                onConfirm={() => revoke(key)}
              />
            )}
          </li>
        ))}
      </ul>
      <Form onSend={make} label={t('account:newKey')}>
        <Field
          label={t('account:keyName')}
          value={name}
          onValue={setName}
          autocomplete="off"
          maxLength={64}
          hint={t('account:keyNameHint')}
        />
        <Problem text={problem} />
        <div class="actions">
          <Button kind="primary" icon={Plus} type="submit" disabled={isBusy}>
            {t('account:newKey')}
          </Button>
        </div>
      </Form>
    </>
  )
}

function MadeKey({ value }: { value: string }) {
  return (
    <div class="settings-note" role="status">
      <p>{t('account:keyOnce')}</p>
      <code class="settings-key">{value}</code>
      <CopyButton text={value} isWorded />
    </div>
  )
}
