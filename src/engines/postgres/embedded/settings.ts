/**
 * What the embedded servers are started with: pure functions from what is wanted to command lines, so that no
 * configuration file has to be edited, or has gone stale when a directory was moved.
 */

export interface ClusterSettings {
  readonly maxConnections: number
  /** `logical` serves the change stream; `replica` is enough for routing. */
  readonly walLevel: 'replica' | 'logical'
  /** More of PostgreSQL's settings; they win. */
  readonly settings: Readonly<Record<string, string>>
}

/** The role that owns an embedded cluster. Nobody else gets to the sockets, so it needs no password. */
export const clusterUser = 'fourfold'

/** Ports are only names of socket files here: the servers listen on no network. */
const primaryPort = 5432
export const primaryName = 'primary'
export const replicaName = (index: number): string => `replica-${index}`
export const portOf = (name: string): number =>
  name === primaryName ? primaryPort : primaryPort + 1 + Number(name.slice('replica-'.length))
/** Slot names know no hyphens. */
export const slotName = (name: string): string => name.replaceAll('-', '_')

/** A standby dies when its limits are below those its primary had, so initdb must write the same ones. */
export function initdbArguments(data: string, wanted: ClusterSettings): string[] {
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--encoding=UTF8']
  const speed = ['--no-sync', '--no-instructions', '--wal-segsize=1']
  return ['-D', data, '-U', clusterUser, '-A', 'trust', ...locale, ...speed, ...asFlags(limits(wanted))]
}

export function serverArguments(data: string, sockets: string, port: number, wanted: ClusterSettings): string[] {
  return ['-D', data, '-p', String(port), ...asFlags({ ...fixed(sockets), ...limits(wanted), ...wanted.settings })]
}

/** What makes a server a standby of the primary beside it. */
export function standbyArguments(name: string, sockets: string): string[] {
  const primary = `host='${sockets}' port=${primaryPort} user=${clusterUser} application_name=${name} connect_timeout=2`
  return asFlags({ primary_conninfo: primary, primary_slot_name: slotName(name) })
}

function limits(wanted: ClusterSettings): Record<string, string> {
  return {
    max_connections: String(wanted.maxConnections),
    max_worker_processes: '4',
    wal_level: wanted.walLevel,
    max_wal_senders: '10',
    max_replication_slots: '10',
  }
}

function fixed(sockets: string): Record<string, string> {
  return {
    listen_addresses: '',
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    // Small: several servers run on one laptop, beside the app.
    shared_buffers: '32MB',
    max_wal_size: '256MB',
    min_wal_size: '32MB',
    max_slot_wal_keep_size: '256MB',
    // In the data directory: a server that is killed leaves nothing in /dev/shm, which containers keep small.
    dynamic_shared_memory_type: 'mmap',
    io_method: 'sync',
    huge_pages: 'off',
    autovacuum_max_workers: '1',
    max_parallel_workers: '0',
    jit: 'off',
    // A standby that reads fall back from quickly: it reports each second, reconnects at once, and does not let a long
    // read hold replay back.
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '100ms',
    max_standby_streaming_delay: '2s',
    // The user is called like the schema that Fourfold keeps for itself, and "$user" would put the app's tables there.
    search_path: 'public',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
  }
}

function asFlags(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}
