//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.
//!
//! What happens when things break on the way from the door to the topic, and which tests show it
//! (`tidy` holds that they are there):
//!
//! | fault | tests |
//! | --- | --- |
//! | Postgres gone under load | `faults::a_database_that_comes_and_goes_under_load_loses_nothing_that_was_acknowledged`, `spool::outages::keeps_deliveries_while_the_database_is_away_and_stores_each_once`, `spool::refusals::asks_the_sender_to_wait_when_it_is_full`, `spool::outages::answers_in_time_when_the_database_hangs` |
//! | `kill -9` at any moment | `kill::under_load::kills_under_load_lose_nothing_and_store_nothing_twice`, `kill::under_load::what_was_acknowledged_is_published_after_a_kill`, `spool::kills::kills_at_any_moment_lose_nothing_and_store_nothing_twice` |
//! | Kafka gone, broker bounced | `publish::waits::the_outbox_waits_while_apache_kafka_is_bounced`, `publish::waits::the_outbox_waits_for_a_broker_that_is_away`, `end_to_end::people_are_let_in_while_kafka_is_away_and_it_gets_everything_later` |
//! | garbage, broken gzip, bombs, odd bytes | `door::refusals::answers_as_http_means_it`, `door::refusals::keeps_the_complete_lines_of_a_body_that_breaks_off`, `door::formats::takes_odd_bytes_and_dates_without_failing_the_rest`, `bounds::memory::stays_small_and_serves_others_under_hostile_input`, `bounds::memory::takes_as_many_entries_as_a_body_may_inflate_to_and_stays_small`; `scripts/fuzz` |
//! | false signatures, injection | `forgery::what_konnect_signed_is_read_whatever_forgeries_come_before_after_and_with_it`, `forgery::forgeries_alone_are_never_read_as_verified_and_give_way_in_the_end`, `door::signatures::marks_what_reads_two_ways_and_does_not_believe_it`, `end_to_end::partners_are_let_in_and_deceivers_are_not` |
//! | one bad or repeated entry in a batch | `writer::together::a_row_that_the_database_refuses_is_kept_aside_and_hurts_nobody_else`, `writer::together::a_known_or_unreadable_entry_is_counted_where_it_came_and_disturbs_nobody`, `publish::promises::an_event_that_kafka_cannot_take_holds_up_nobody` |
//! | disk full | `faults::a_disk_that_fills_up_under_the_spool_is_told_and_mends`, `faults::a_full_disk_under_the_database_is_told_and_mends`, `faults::a_full_disk_under_the_log_ends_nothing` |
//! | two instances, rolling restart | `instances::fed_the_same_in_opposite_order_lose_and_repeat_nothing_when_one_is_killed`, `publish::promises::two_publishers_repeat_nothing`, `upkeep::schema::instances_that_start_at_once_migrate_once`, `kill::starts_and_stops::a_stop_finishes_what_was_accepted` |
//! | a report that runs for minutes | `upkeep::months::ingest_goes_on_while_a_long_read_holds_an_old_month`, `faults::a_long_report_holds_nobody_up` |
//! | dates that are wrong or forged | `faults::forged_dates_by_the_thousand_are_stored_in_a_bounded_number_of_partitions`, `door::formats::takes_odd_bytes_and_dates_without_failing_the_rest` |
//! | metrics that nobody scrapes | `metrics::ten_million_observations_that_nobody_scrapes_take_no_room` |
//! | a spooled file that cannot be read for now | `spool::restarts::a_file_that_cannot_be_read_for_now_is_tried_again`, `spool::restarts::takes_up_what_a_former_run_left_and_lets_nothing_damaged_block_it` |
//! | strangers who ask how usher does | `health::readiness_tells_no_stranger_why_and_nobody_an_address_a_user_or_a_host` |
//! | a clock that is wrong or jumps | `upkeep::months::an_instance_whose_clock_is_wrong_drops_no_month`, `keys::a_clock_that_jumps_neither_stops_key_fetches_nor_keeps_a_key_good`, `health::readiness_tells_of_a_clock_that_differs_from_the_databases` |
//! | a reader taken out of the configuration, or added late | `readers::retired::a_reader_that_no_instance_is_configured_with_is_told_and_retired`, `readers::late::a_reader_added_late_holds_no_append_up_and_is_owed_each_batch_once` |
//! | a long outbox | `readers::claims::a_long_backlog_is_drained_as_fast_as_a_short_one` |
//! | a claim outlived while a verdict grows | `readers::claims::a_verdict_that_comes_while_a_claim_has_run_out_is_owed_still` |
//! | rights that were revoked, a table that was changed | `own_trouble::what_the_database_refuses_for_a_reason_of_its_own_is_kept_for_later`, `own_trouble::what_was_set_aside_for_a_reason_that_has_gone_is_released` |
//! | a caller that goes away while a transaction begins | `transactions::a_transaction_cut_at_any_moment_leaves_nothing_behind` |
//! | connections that die without a word | `dead_sockets::connections_that_die_without_a_word_hold_nobody_up`, `dead_sockets::a_stop_does_not_wait_for_dead_connections` |
//! | many slow searches at once | `searches::forty_slow_searches_hold_up_no_delivery`, `searches::who_goes_away_leaves_no_search_behind` |
//! | a search for what is rare, or far back | `search::pages::what_takes_too_long_is_told_in_parts_that_skip_and_repeat_nothing`, `search::pages::page_1000_is_as_fast_as_the_first` |
//! | an export that is killed, a tail that breaks | `search::exports::an_export_that_is_killed_lacks_the_last_line_and_goes_on_elsewhere`, `search::tails::what_is_delivered_is_seen_and_after_a_break_what_was_missed` |
//! | a look that cannot be noted, an export that breaks off | `search::reads::what_cannot_be_noted_is_not_shown`, `search::reads::an_export_is_noted_when_it_ends_and_when_it_breaks_off` |
//! | a replica that cuts off a question, or is away | `search::replica::what_a_replica_cuts_off_is_asked_once_more_and_then_at_the_primary`, `search::replica::while_a_replica_is_away_the_primary_answers` |
//! | addresses that are garbage | `search::words::no_text_raises_an_error_or_is_read_as_an_address_that_it_is_not` |
//! | a pooler before Postgres | `pooler::a_pooler_by_session_makes_no_difference`, `pooler::a_pooler_by_transaction_is_refused_at_the_start` |
//! | a key served later than its first signature | `late_keys::an_entry_waits_five_minutes_for_its_key`, `late_keys::what_was_set_aside_as_forged_is_released_where_a_later_key_fits`, `door::signatures::settles_an_unknown_key_once_it_is_served`, `late_keys::what_was_set_aside_until_its_key_came_is_stored_together` |
//! | a key endpoint that hangs | `keys::a_key_endpoint_that_hangs_holds_no_delivery_up` |
//! | a body that was kept aside, taken up again | `own_trouble::a_body_that_was_kept_aside_never_becomes_an_event` |
//! | a clock that jumps while a key is not served yet | `late_keys::a_clock_that_jumps_makes_no_entry_forged` |
//! | a flood of forgeries that wait for a key | `late_keys::what_no_key_fits_is_checked_again_when_there_is_another_key`, `late_keys::an_entry_waits_five_minutes_for_its_key` |
//! | an outage of the database as long as a reader is kept that nobody wants | `readers::retired::an_outage_of_the_database_retires_no_reader_in_use` |
//! | a clock of the database that went back, one of an instance that is ahead | `readers::late::a_database_whose_clock_went_back_leaves_out_nothing_of_a_past`, `react::heard::an_instance_whose_clock_is_ahead_takes_no_news_for_old` |
//! | a change of readers beside an append that takes long | `readers::late::a_change_of_readers_that_waits_for_a_long_append_holds_up_no_other` |
//! | an index whose making was cut | `upkeep::schema::an_index_whose_making_was_cut_is_made_anew` |
//! | a right that readers of the outbox lack | `own_trouble::a_right_that_readers_lack_puts_no_batch_off_and_is_told` |
//! | a connection that dies under work while others live | `dead_sockets::a_round_that_waits_for_a_dead_connection_is_given_up_though_others_live`, `readers::claims::claims_are_held_on_to_as_long_as_work_goes_on` |
//! | a connection that dies at the start | `dead_sockets::a_connection_that_dies_once_it_is_made_holds_no_start_up`, `dead_sockets::an_instance_that_waits_to_migrate_gives_a_dead_connection_up` |
//! | Kafka that is slow | `publish::waits::a_batch_that_takes_longer_than_a_claim_is_held_on_to_and_sent_once` |
//! | facts or rules that change while a deed waits | `now::whoever_left_the_team_meanwhile_is_not_given_what_its_members_get`, `now::whoever_was_revoked_meanwhile_is_given_nothing_whatever_the_rule_asks`, `now::an_application_that_changed_hands_meanwhile_is_given_nothing`, `now::each_further_deed_is_decided_by_the_rules_of_its_moment` |
//! | Konnect away for long | `act::trouble::a_long_outage_costs_no_deed_that_is_done_once`, `act::trouble::what_gives_access_fails_in_the_end_and_what_takes_it_never_does` |
//! | a person's no, after the log or the rule's name is gone | `vetoes::a_no_outlasts_the_log_and_the_name_of_the_rule_until_it_is_lifted`, `vetoes::calling_off_a_false_leaver_does_not_keep_the_real_one` |
//! | a network to Postgres | `writer::network::fifty_lines_over_tcp_take_less_than_twice_as_long_as_over_the_socket`, `writer::network::what_is_sent_in_parts_over_tcp_waits_for_no_acknowledgement` |
//! | a look at everything that cannot end | `observe::loops::newcomers_are_found_in_time_whatever_keeps_a_sweep_from_its_end`, `observe::loops::hints_are_answered_whatever_keeps_a_sweep_from_its_end` |
//! | a 429 that asks for a wait | `observe::loops::a_wait_that_the_api_asks_for_is_kept_by_the_loops_of_all_portals` |
//! | an object that cannot be read or decoded | `observe::set_aside::what_cannot_be_read_is_set_aside_and_told_and_the_rest_is_stored`, `observe::set_aside::whoever_cannot_be_read_keeps_no_other_change_waiting` |
//! | many changes in a minute | `observe::short::many_changes_in_a_minute_lead_to_no_look_at_everything`, `observe::short::what_a_short_look_left_is_read_by_the_next_ones_within_seconds` |
//! | 404s of what is there, lists that lack it | `observe::gone::three_404s_at_once_retire_nothing_and_two_a_minute_apart_do`, `observe::gone::who_is_seen_again_begins_to_be_missed_anew`, `observe::gone::a_portal_is_gone_after_ten_minutes_and_not_if_it_was_there_meanwhile` |
//! | anything of this that somebody must find | `doctor::konnect::each_fault_of_the_api_is_told_by_its_own_line`, `doctor::konnect::each_fault_of_a_webhook_is_told_by_its_own_line`, `doctor::database::each_fault_of_the_server_is_told_by_its_own_line`, `doctor::database::each_fault_of_the_rows_is_told_by_its_own_line`, `doctor::folder::each_fault_of_a_file_is_told_by_its_own_line`, `doctor::onward::each_fault_of_kafka_is_told_by_its_own_line`, `doctor::onward::what_hangs_is_over_in_ten_seconds` |
//! | a pull that ends early, an instance that dies while it pulls, a checkpoint that is too old | `pull::follower::goes_on_after_a_restart_where_it_was`, `pull::follower::a_checkpoint_that_is_too_old_is_said_and_it_goes_on` |
//! | entries that a webhook does not bring | `pull::follower::beside_a_webhook_it_finds_what_did_not_come` |
//! | a token that was narrowed | `observe::gone::many_that_are_missing_at_once_are_held_back_and_told` |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "nothing outside this binary reaches in")]

mod act;
mod again;
mod alerts;
mod alike;
mod api;
mod bounds;
mod by_hand;
mod cli;
mod console;
mod coverage;
mod dead_sockets;
mod deeds;
mod demo;
mod doctor;
mod door;
mod embedded;
mod emulate;
mod end_to_end;
mod faults;
mod forgery;
mod forward;
mod guides;
mod health;
mod hooks;
mod import;
mod init;
mod installed;
mod instances;
mod keys;
mod kill;
mod late_keys;
mod least_privilege;
mod links;
mod look;
mod metrics;
mod model;
mod notify;
mod now;
mod observe;
mod onboarding;
mod onboarding_guides;
mod org_logs;
mod output;
mod own_trouble;
mod pooler;
mod publish;
mod pull;
mod react;
mod readers;
mod reconcile;
mod reference;
mod reload;
mod repeats;
mod replay;
mod report;
mod reverify;
mod rolling;
mod rules;
mod rules_check;
mod scopes;
mod search;
mod searches;
mod seeing;
mod seen;
mod setup;
mod spool;
mod support;
mod tidy;
mod transactions;
mod trouble;
mod upkeep;
mod usage;
mod vetoes;
mod writer;
