//! Tests of the whole box from outside. They are one program, so that it is linked only once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live_support;
mod player;
mod support;
mod us_support;

mod acceptance;
mod analysis_steps;
mod archives;
mod audit;
mod availability;
mod bad_slice;
mod bombs;
mod breast;
mod commitment_kills;
mod console;
mod cut_lines;
mod cut_scan;
mod dashboard;
mod dicomweb;
mod edit;
mod exam_review;
mod lesions;
mod export;
mod guidance;
mod hanging;
mod heat;
mod inference;
mod live_exam;
mod live_replay;
mod live_results;
mod mammography;
mod memory;
mod models;
mod name_on_screen;
mod orthanc_box;
mod other_patient;
mod performed_steps;
mod peers;
mod power_loss;
mod priors;
mod reading;
mod real_ct;
mod review;
mod right_patient;
mod setup;
mod study_flow;
mod teaching;
mod trouble;
mod ultrasound;
mod update_health;
mod ups;
mod vendors;
mod words;
mod worklist_server;
