/**
 * Which functions a statement may call and still be sent to a standby.
 *
 * A positive list: the standard functions that neither write nor depend on the session or on the very server that
 * answers. Everything else may do anything: it goes to the primary, unless the app vouches for it
 * (`readFunctions`). Volatile functions without an effect (random(), clock_timestamp()) are fine on a standby.
 */

/** What calling a function means for routing. */
export type FunctionEffect = 'none' | 'session' | 'unknown'

/** `schema` is null for an unqualified name. `vouched` holds names as the app writes them, with or without schema. */
export function functionEffect(schema: string | null, name: string, vouched: ReadonlySet<string>): FunctionEffect {
  if (vouched.has(schema === null ? name : `${schema}.${name}`)) return 'none'
  if (schema !== null && schema !== 'pg_catalog') return 'unknown'
  if (harmless.has(name)) return 'none'
  return sessionBound.has(name) || /^pg_(try_)?advisory_/.test(name) ? 'session' : 'unknown'
}

const words = (text: string): string[] => text.trim().split(/\s+/)

/** Their answer depends on their arguments alone, in every form that they have: what may be cached without a time to live. */
export const immutableFunctions: ReadonlySet<string> = new Set(
  words(`
  abs acos acosd acosh any_value array_agg array_append array_cat array_dims array_fill array_length array_lower
  array_ndims array_position array_positions array_prepend array_remove array_replace array_reverse array_sort
  array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh avg bit_and bit_count bit_length
  bit_or bit_xor bool_and bool_or bound_box box broadcast btrim cardinality casefold cbrt ceil ceiling center
  char_length character_length chr circle corr cos cosd cosh cot cotd count covar_pop covar_samp crc32 crc32c
  cume_dist date_bin decode degrees dense_rank diagonal diameter div encode erf erfc every exp factorial family
  first_value floor gamma gcd generate_subscripts get_bit get_byte height host hostmask inet_merge inet_same_family
  initcap int4range int8range int4multirange int8multirange isclosed isempty isfinite isopen is_normalized
  json_array_elements json_array_elements_text json_array_length json_each json_each_text json_extract_path
  json_extract_path_text json_object json_object_keys json_strip_nulls json_typeof jsonb_array_elements
  jsonb_array_elements_text jsonb_array_length jsonb_contains jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all
  jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg
  jsonb_object_agg_strict jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
  jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_typeof justify_days
  justify_hours justify_interval lag last_value lcm lead left lgamma ln log log10 lower lower_inc lower_inf lpad lseg
  ltrim macaddr8_set7bit make_date make_interval make_time make_timestamp masklen max md5 min min_scale mod mode
  multirange netmask network normalize npoints nth_value ntile num_nonnulls num_nulls numnode nummultirange numrange
  octet_length overlay parse_ident path percent_rank percentile_cont percentile_disc pi point polygon popen position
  power pow querytree quote_ident radians radius range_agg range_intersect_agg range_merge rank regexp_count
  regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
  regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat
  replace reverse right round row_number rpad rtrim scale set_bit set_byte set_masklen setweight sha224 sha256 sha384
  sha512 sign sin sind sinh slope split_part sqrt starts_with stddev stddev_pop stddev_samp string_agg string_to_array
  string_to_table strip strpos substr substring sum tan tand tanh text to_ascii to_bin to_hex to_oct translate
  trim_array trim_scale trunc ts_delete ts_filter ts_lexize ts_rank ts_rank_cd tsmultirange tsrange tsquery_phrase
  tstzmultirange tstzrange tsvector_to_array daterange datemultirange unicode_assigned unistr unnest upper upper_inc
  upper_inf uuid_extract_timestamp uuid_extract_version var_pop var_samp variance width width_bucket xmlagg xmlcomment
  xmlexists xpath xpath_exists pg_size_pretty pg_size_bytes similarity word_similarity strict_word_similarity
  levenshtein soundex metaphone dmetaphone l2_distance l1_distance cosine_distance inner_product vector_dims digest
  hmac`),
)

const harmless: ReadonlySet<string> = new Set([
  ...immutableFunctions,
  ...words(`
  age array_sample array_shuffle array_to_json array_to_string clock_timestamp coalesce concat concat_ws convert
  convert_from convert_to date date_add date_part date_subtract date_trunc enum_first enum_last enum_range extract
  format format_type gen_random_uuid generate_series grouping has_table_privilege has_column_privilege
  has_schema_privilege json_agg json_agg_strict json_build_array json_build_object json_object_agg
  json_object_agg_strict json_object_agg_unique json_populate_record json_populate_recordset json_to_record
  json_to_recordset json_to_tsvector jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object
  jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
  jsonb_populate_record jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector length localtime
  localtimestamp make_timestamptz now nullif numeric overlaps phraseto_tsquery plainto_tsquery quote_literal
  quote_nullable random random_normal row_to_json statement_timestamp text_to_char timeofday timezone to_char to_date
  to_json to_jsonb to_number to_regclass to_regtype to_timestamp to_tsquery to_tsvector transaction_timestamp trim
  ts_debug ts_headline ts_parse uuidv4 uuidv7 websearch_to_tsquery xmlconcat xml_is_well_formed pg_sleep
  pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_viewdef pg_get_userbyid pg_get_functiondef
  pg_get_serial_sequence pg_table_is_visible pg_type_is_visible pg_typeof pg_input_is_valid obj_description
  col_description shobj_description version unaccent crypt`),
])

/** Their answer, or their effect, belongs to one session or one server. */
const sessionBound: ReadonlySet<string> = new Set(
  words(`
  set_config current_setting setseed currval lastval pg_backend_pid pg_listening_channels pg_my_temp_schema
  pg_is_in_recovery pg_cancel_backend pg_terminate_backend pg_reload_conf inet_server_addr inet_server_port
  inet_client_addr inet_client_port pg_postmaster_start_time pg_conf_load_time pg_current_snapshot
  pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_replay_lsn
  pg_last_wal_receive_lsn pg_last_xact_replay_timestamp pg_walfile_name pg_export_snapshot`),
)
