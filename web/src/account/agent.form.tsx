import { useId, useState } from 'preact/hooks'
import type { AgentProfile, Model } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Choice, Field, Form, Toggle } from '../ui/field.tsx'
import { useFetched } from '../ui/pages.tsx'
import { Problem, useSending } from '../ui/problem.tsx'

interface AgentFormOptions {
  /** Absent: a new one. */
  agent?: AgentProfile
  onSaved(agent: AgentProfile): void
  onClose(): void
}

/** What an agent is called, says and may do. Empty fields of an agent that is there take their values away. */
export function AgentForm({ agent, onSaved, onClose }: AgentFormOptions) {
  const [kind, setKind] = useState<AgentProfile['kind']>(agent?.kind ?? 'built_in')
  const [fields, setFields] = useState({
    username: '',
    displayName: agent?.displayName ?? '',
    description: agent?.description ?? '',
    modelId: agent?.modelId ?? '',
    systemPrompt: agent?.systemPrompt ?? '',
    temperature: agent?.temperature?.toString() ?? '',
    maxOutputTokens: agent?.maxOutputTokens?.toString() ?? '',
  })
  const [isPublic, setPublic] = useState(agent?.isPublic ?? false)
  const models = useFetched<{ items: Model[] }>('/v1/models').value?.items ?? []
  const { problem, isBusy, send } = useSending({ conflict: t('account:usernameTaken') })
  const bind = (name: keyof typeof fields) => ({
    value: fields[name],
    onValue: (value: string) => setFields({ ...fields, [name]: value }),
  })

  function input(): object {
    const texts = { description: fields.description.trim() }
    const ofModel = {
      modelId: fields.modelId,
      systemPrompt: fields.systemPrompt.trim(),
      temperature: numberIn(fields.temperature),
      maxOutputTokens: numberIn(fields.maxOutputTokens),
    }
    const given: Record<string, string | number | null> = {}
    for (const [name, value] of Object.entries({ ...texts, ...(kind === 'built_in' && ofModel) })) {
      if (value !== '') given[name] = value
      else if (agent) given[name] = null
    }
    const displayName = fields.displayName.trim()
    return {
      ...(!agent && { kind, username: fields.username }),
      ...(displayName && { displayName }),
      ...given,
      isPublic,
    }
  }

  async function save(): Promise<void> {
    await send(async () =>
      onSaved(
        agent
          ? await client.rest.request('PATCH', `/v1/agents/${agent.id}`, input())
          : await client.rest.request('POST', '/v1/agents', input()),
      ),
    )
  }

  const kinds = (['built_in', 'external'] as const).map((id) => ({ id, name: t(`account:kind_${id}`) }))
  const offered = [
    { id: '', name: t('account:standardModel') },
    ...models.map(({ id, label }) => ({ id, name: label })),
  ]
  return (
    <Form onSend={save} label={agent ? agent.displayName : t('account:newAgent')}>
      {!agent && (
        <>
          <Choice<AgentProfile['kind']> label={t('account:agentKind')} value={kind} of={kinds} onValue={setKind} />
          <p class="field-hint">{t(`account:kindHint_${kind}`)}</p>
          <Field
            label={t('account:username')}
            {...bind('username')}
            autocomplete="off"
            maxLength={32}
            hint={t('account:usernameHint')}
            isRequired
          />
        </>
      )}
      <Field
        label={t('account:displayName')}
        {...bind('displayName')}
        autocomplete="off"
        maxLength={64}
        isRequired={agent !== undefined}
      />
      <Field label={t('account:description')} {...bind('description')} autocomplete="off" maxLength={1000} />
      {kind === 'built_in' && (
        <>
          <Choice label={t('account:model')} of={offered} {...bind('modelId')} />
          <LongField label={t('account:systemPrompt')} {...bind('systemPrompt')} />
          <Field label={t('account:temperature')} {...bind('temperature')} hint={t('account:temperatureHint')} />
          <Field label={t('account:maxOutput')} {...bind('maxOutputTokens')} hint={t('account:maxOutputHint')} />
        </>
      )}
      <Toggle label={t('account:isPublic')} isOn={isPublic} onValue={setPublic} />
      <Problem text={problem} />
      <div class="actions">
        <Button onPress={onClose}>{t('common:cancel')}</Button>
        <Button kind="primary" type="submit" disabled={isBusy}>
          {t('common:save')}
        </Button>
      </div>
    </Form>
  )
}

/** A number, with either sign for decimals; what is none is sent as it is, for the server to refuse. */
function numberIn(text: string): number | string {
  const number = Number(text.trim().replace(',', '.'))
  return text.trim() === '' || Number.isNaN(number) ? text.trim() : number
}

function LongField({ label, value, onValue }: { label: string; value: string; onValue(value: string): void }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={4}
        dir="auto"
        maxLength={16_000}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </div>
  )
}
